#!/usr/bin/env bash
# Dumps the databases of a running cluster, restores them under another name, and lets a gateway, a controller and an invoker of
# their own serve what was restored. Runs inside cluster.sh.
#
# usage: backup.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail
bin=$(realpath "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
backup=$root/docs/operations/couchdb-backup.py
prefix=$(sed -n 's/^prefix = "\(.*\)"/\1/p' "$CLUSTER_DIR/controller0.toml")
gateway=${CLUSTER_GATEWAYS%% *}
export WSK_CONFIG_FILE=$CLUSTER_DIR/backup.props
wsk() { "$bin/wsk" "$@"; }

# Something of every kind; the code is long enough to be an attachment of its own.
wsk property set --apihost "$gateway" --auth "$CLUSTER_AUTH" >/dev/null
{ echo 'function main(p) { return { kept: p.word, opened: p.token.length }; }'; head -c 100000 /dev/zero | tr '\0' ' '; } >"$CLUSTER_DIR/kept.js"
wsk action update kept "$CLUSTER_DIR/kept.js" --kind nodejs:default --web true --param word yes \
    --secret-param token sesame-4711 >/dev/null
wsk api create /kept /word get kept >/dev/null
wsk trigger update kept-trigger >/dev/null
wsk rule update kept-rule kept-trigger kept >/dev/null
wsk action invoke kept --blocking >/dev/null
for _ in $(seq 100); do if wsk activation list --limit 1 | grep -q kept; then break; fi; sleep 0.1; done

for database in whisks subjects apis activations; do
    "$backup" dump "$FERROWHISK_TEST_COUCHDB/$prefix$database" >"$CLUSTER_DIR/$database.jsonl"
    "$backup" restore "$FERROWHISK_TEST_COUCHDB/restored_$prefix$database" <"$CLUSTER_DIR/$database.jsonl"
    "$backup" dump "$FERROWHISK_TEST_COUCHDB/restored_$prefix$database" >"$CLUSTER_DIR/$database.again"
done
if grep -q sesame "$CLUSTER_DIR"/*.jsonl; then echo "backup: the secret parameter is in clear" >&2; exit 1; fi
# Nobody writes users, entities or routes now, so what was restored is what was dumped, revisions and attachments included.
for database in whisks subjects apis; do
    python3 - "$CLUSTER_DIR/$database.jsonl" "$CLUSTER_DIR/$database.again" <<'PYTHON'
import json, sys

def documents(file):
    for document in map(json.loads, open(file)):
        # How a server counts and sums up what is attached is its own business; the content is not.
        attached = document.pop("_attachments", {})
        content = {name: (one["content_type"], one["data"]) for name, one in attached.items()}
        yield document["_id"], (document, content)

dumped, restored = (dict(documents(file)) for file in sys.argv[1:])
wrong = [name for name in dumped.keys() | restored.keys() if dumped.get(name) != restored.get(name)]
if wrong:
    sys.exit(f"backup: not restored as dumped: {wrong[0]}: {dumped.get(wrong[0])} is now {restored.get(wrong[0])}"[:600])
PYTHON
done
# What is answered from here on is not what was backed up.
wsk action update kept --param word changed >/dev/null

pids=()
stop() {
    status=$?
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    exit "$status"
}
trap stop EXIT
begin() {
    sed -e "s/^prefix = \"/prefix = \"restored_/" -e "s/^topic_prefix = \"/topic_prefix = \"restored_/" \
        -e 's/^listen = .*/listen = "127.0.0.1:0"/' -e 's/^admin = .*/admin = "127.0.0.1:0"/' \
        -e 's/^\(cgroup_parent\|run_dir\) = "\(.*\)"/\1 = "\2-restored"/' -e 's/^uid_base = .*/uid_base = 260000/' \
        -e "s|^controllers = .*|controllers = [\"${controller:-}\"]|" "$CLUSTER_DIR/$1.toml" >"$CLUSTER_DIR/restored-$1.toml"
    "$bin/ferrowhisk-${1%[0-9]}" --config "$CLUSTER_DIR/restored-$1.toml" >"$CLUSTER_DIR/restored-$1.out" 2>"$CLUSTER_DIR/restored-$1.log" &
    pids+=($!)
    for _ in $(seq 300); do
        local admin
        admin=$(sed -n 's|^admin http://||p' "$CLUSTER_DIR/restored-$1.out")
        if [ -n "$admin" ] && [ "$(curl -s "http://$admin/ready")" = ready ]; then return; fi
        sleep 0.1
    done
    echo "backup: restored-$1 is not ready" >&2
    return 1
}
# The last invoker runs actions as processes in every cluster, beside whose own these can be.
begin invoker2
begin controller0
controller=$(sed -n 's|^controller http://||p' "$CLUSTER_DIR/restored-controller0.out")
begin gateway0
restored=http://$(sed -n 's|^gateway http://||p' "$CLUSTER_DIR/restored-gateway0.out")
for _ in $(seq 300); do
    if curl -s "$restored/invokers" | grep -q '"up"'; then break; fi
    sleep 0.1
done
# The same key, the same code, the same rule, the same record; then the same route, and an invoker that can open the secret.
wsk property set --apihost "$restored" --auth "$CLUSTER_AUTH" >/dev/null
wsk action get kept --save-as "$CLUSTER_DIR/restored.js" >/dev/null
cmp "$CLUSTER_DIR/kept.js" "$CLUSTER_DIR/restored.js"
wsk rule get kept-rule | grep -q '"status": "active"'
wsk activation get --last | grep -q '"kept": "yes"'
wsk package get /whisk.system/utils --summary | grep -q /whisk.system/utils/echo
wsk api list | grep -q /kept
answer=$(curl -s "$restored/api/${CLUSTER_AUTH%%:*}/kept/word" | tr -d ' \n')
if [ "$answer" != '{"kept":"yes","opened":11}' ]; then echo "backup: the restored route answered $answer" >&2; exit 1; fi
echo "backup: users, entities with attachments, rules, routes, a secret and records were dumped, restored and served"
