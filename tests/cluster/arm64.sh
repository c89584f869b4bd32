#!/usr/bin/env bash
# Invokers on 64-bit ARM beside those of this machine, in one cluster: actions land where they can run, and what cannot run
# where it is wanted is answered readably. The machine is a folder with Debian's programs for arm64, whose processes the
# kernel hands to an emulator; the invokers, the proxy and the interpreters in it are programs for arm64. One invoker runs
# processes; where the cluster has a Docker engine, another one runs images on it, for arm64. Run by cluster.sh, as root:
# .ci/test-arm64. FERROWHISK_TEST_REGISTRY names the program of a registry of images.
#
# usage: arm64.sh PROGRAMS FOLDER_OF_THE_MACHINE
#
# An emulated process has no system call filter, no Landlock and no namespaces, so that sandboxes have none either (they are
# tested on this machine's own processor); user ids, limits and control groups hold.
set -euo pipefail
. "$(dirname "$0")/images.sh"

bin=$(realpath "$1")
machine=$(realpath "$2")
gateway=${CLUSTER_GATEWAYS%% *}
dir=$CLUSTER_DIR/arm64
mkdir -p "$dir"
export WSK_CONFIG_FILE=$dir/wskprops
"$bin/wsk" property set --apihost "$gateway" --auth "$CLUSTER_AUTH" >/dev/null

fail() {
    echo "arm64: $*" >&2
    for log in "$dir"/*.log; do
        echo "--- ${log##*/}" >&2
        tail -n 20 "$log" >&2
    done
    exit 1
}

started=()
stop() {
    status=$?
    trap - EXIT
    for process in "${started[@]}"; do
        kill -TERM "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    exit "$status"
}
trap stop EXIT

# arm N LABEL LIKE LINE ...: invoker N on the machine, configured as one of ours but for what is a machine's own, with these
# lines more where it says how containers are made. Answers once it runs.
arm() {
    local n=$1 label=$2 like=$3 port run=/run/invoker$1
    shift 3
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    python3 - "$CLUSTER_DIR/$like.toml" "$n" "$label" "$port" "$run" "$@" >"$dir/invoker$n.toml" <<'PY'
import re, sys
file, n, label, port, run, *lines = sys.argv[1:]
text = open(file).read()
for key, value in {
    "admin": f'admin = "127.0.0.1:{port}"',
    "id": f"id = {n}",
    "name": f'name = "{label}"\nlabels = ["{label}"]\nprewarm = false',
    "uid_base": f"uid_base = {230000 + 10000 * int(n)}",
    "run_dir": f'run_dir = "{run}/sandboxes"',
    "key_file": f'key_file = "{run}/secrets.keys"',
    "engine": f'engine = "unix://{run}/docker.sock"',
}.items():
    text = re.sub(rf"(?m)^{key} = .*$", value, text)
text = re.sub(r'(?m)^cgroup_parent = "(.*)-[0-9]+"$', rf'cgroup_parent = "\1-{n}"', text)
print(re.sub(r"(?m)^(\[containers\..*\])$", "\n".join([r"\1", *lines]), text))
PY
    # shellcheck disable=SC2016
    unshare --mount --propagation private bash -euc '
        machine=$1 run=$2 config=$3 keys=$4 engine=$5
        for folder in proc sys dev; do mkdir -p "$machine/$folder"; mount --rbind "/$folder" "$machine/$folder"; done
        mount -t tmpfs run "$machine/run"
        mount -t tmpfs tmp "$machine/tmp"
        chmod 1777 "$machine/tmp"
        mkdir "$machine$run"
        cp "$config" "$machine$run/invoker.toml"
        cp "$keys" "$machine$run/secrets.keys"
        if [ -n "$engine" ]; then
            touch "$machine$run/docker.sock"
            mount --bind "$engine" "$machine$run/docker.sock"
        fi
        exec chroot "$machine" /opt/ferrowhisk/ferrowhisk-invoker --config "$run/invoker.toml"
    ' - "$machine" "$run" "$dir/invoker$n.toml" "$CLUSTER_DIR/secrets.keys" "${FERROWHISK_TEST_DOCKER#unix://}" \
        >"$dir/invoker$n.out" 2>"$dir/invoker$n.log" &
    started+=($!)
    for _ in $(seq 1200); do
        if known "$n" && known "$n"; then return; fi
        kill -0 "${started[-1]}" 2>/dev/null || fail "invoker $n ended"
        sleep 0.1
    done
    fail "invoker $n is not up"
}
# Both controllers are asked, in turn.
known() { curl -s "$gateway/invokers" | grep -q "\"invoker$1[^\"]*\":\"up\""; }

FERROWHISK_TEST_DOCKER=${FERROWHISK_TEST_DOCKER:-}
arm 3 edge invoker2

# asks NAME WHAT ...: an action of this name.
asks() { "$bin/wsk" action update "$@" >/dev/null; }
# expect WHAT NAME TEXT: its result, or the error it ends with, has this text.
expect() {
    local answer
    answer=$("$bin/wsk" action invoke "$2" --result 2>&1 || true)
    case $answer in
        *"$3"*) echo "arm64: $1: $(printf '%s' "$answer" | tr -s '\n ' ' ')" ;;
        *) fail "$1: expected «$3», got: $answer" ;;
    esac
}

cat >"$dir/where.js" <<'JS'
function main() { return {on: process.arch}; }
JS
cat >"$dir/where.sh" <<'SH'
#!/bin/sh
echo "{\"on\": \"$(uname -m)\"}"
SH
cat >"$dir/where.c" <<'C'
#include <stdio.h>
#include <sys/utsname.h>
int main(void) { struct utsname name; uname(&name); printf("{\"on\": \"%s\"}\n", name.machine); return 0; }
C
gcc -static -O1 -o "$dir/amd64" "$dir/where.c"
aarch64-linux-gnu-gcc -static -O1 -o "$dir/arm64" "$dir/where.c"

on() { printf '["%s"]' "$1"; }
asks node-arm "$dir/where.js" --annotation invoker-resources "$(on arm64)" --timeout 60000
asks node-amd "$dir/where.js" --annotation invoker-resources "$(on amd64)"
asks shell-edge "$dir/where.sh" --native --annotation invoker-resources "$(on edge)" --timeout 60000
asks shell-amd "$dir/where.sh" --native --annotation invoker-resources "$(on amd64)"
asks program-arm "$dir/arm64" --native --timeout 60000
asks program-amd "$dir/amd64" --native
asks misplaced "$dir/amd64" --native --annotation invoker-resources "$(on edge)" --timeout 60000
asks nowhere "$dir/where.js" --annotation invoker-resources "$(on gpu)"

expect 'nodejs on the arm64 invoker' node-arm '"on": "arm64"'
expect 'nodejs on an amd64 invoker' node-amd '"on": "x64"'
expect 'a script where the label is' shell-edge '"on": "aarch64"'
expect 'a script elsewhere' shell-amd '"on": "x86_64"'
for _ in 1 2 3; do
    expect 'a program for arm64 finds its machine' program-arm '"on": "aarch64"'
    expect 'a program for amd64 finds one of its' program-amd '"on": "x86_64"'
done
expect 'a program for amd64 that may only run on the arm64 invoker' misplaced \
    'The action cannot run on arm64: the program of the action was compiled for amd64, and no other invoker can run it.'
expect 'a label that nobody has' nowhere \
    "There is no invoker with the label 'gpu', which the annotation 'invoker-resources' asks for."

# Each of them ran once, and what moved from one invoker to another has one record.
for name in program-arm program-amd; do
    for _ in $(seq 300); do
        count=$("$bin/wsk" activation list "$name" --limit 10 | grep -c "$name" || true)
        if [ "$count" = 3 ]; then break; fi
        sleep 0.1
    done
    [ "$count" = 3 ] || fail "$name has $count records for 3 activations"
done
moved=$(cat "$CLUSTER_DIR"/controller*.log | grep -c 'an activation was placed anew' || true)
[ "$moved" -gt 0 ] || fail "no activation was handed from one invoker to another"
echo "arm64: $moved activations were handed from one invoker to another"
echo "arm64: an arm64 invoker and three of amd64 share a cluster"

if [ "$CLUSTER_ENGINE" != own ]; then
    echo "arm64: images were not tried, as the cluster has no Docker engine" >&2
    exit
fi

# Images, which one asks for as somebody: static programs, in variants of their own.
open_registry "$dir"
started+=("$registry_process")
"$bin/wskadmin" --config "$CLUSTER_DIR/wskadmin.toml" registry set guest "$registry" --key-file "$CLUSTER_DIR/secrets.keys" \
    --username "$registry_user" --password-file - <<<"$registry_password" >/dev/null
gcc -static -O1 -o "$dir/amd64" "$(dirname "$0")/where.c"
aarch64-linux-gnu-gcc -static -O1 -o "$dir/arm64" "$(dirname "$0")/where.c"
pushed where:amd64 amd64 "$dir/amd64"
pushed where:arm64 arm64 "$dir/arm64"
listed where:both where:amd64 where:arm64
listed where:one where:amd64

arm 4 images-arm invoker0 'platform = "linux/arm64"'
pulls() { grep -c "/v2/where/manifests/$1 " "$dir/registry.log" || true; }
no_variant() {
    echo "The action cannot run on arm64: image $registry/where:$1 has no variant for linux/arm64, only for linux/amd64, and no" \
        "other invoker can run it."
}
asks image-arm --docker "$registry/where:both" --annotation invoker-resources "$(on images-arm)" --timeout 60000
asks image-amd --docker "$registry/where:both" --annotation invoker-resources "$(on amd64)"
expect 'an image of several variants on the arm64 invoker' image-arm '"on": "aarch64"'
expect 'the same image on an amd64 invoker' image-amd '"on": "x86_64"'
expect 'and on the arm64 invoker again' image-arm '"on": "aarch64"'
# The engine has this one, which must not be taken for that.
docker image inspect "$registry/where:amd64" >/dev/null
for tag in amd64 one; do
    asks "foreign-$tag" --docker "$registry/where:$tag" --annotation invoker-resources "$(on images-arm)" --timeout 60000
    expect "an image for amd64 alone ($tag) that may only run on the arm64 invoker" "foreign-$tag" "$(no_variant $tag)"
    before=$(pulls $tag)
    [ "$before" -gt 0 ] || fail "where:$tag was refused unseen"
    expect 'and once more, which it knows by now' "foreign-$tag" "$(no_variant $tag)"
    [ "$(pulls $tag)" = "$before" ] || fail "where:$tag was asked for again, after it was refused"
done

# Where both may have it, it is found out by the first that gets it, and runs on the other.
for n in $(seq 20); do
    docker tag "$registry/where:amd64" "$registry/where:$n"
    docker push --quiet "$registry/where:$n" >/dev/null
    asks "anywhere-$n" --docker "$registry/where:$n" --timeout 60000
    expect 'an image for amd64 alone that may run anywhere' "anywhere-$n" '"on": "x86_64"'
    if grep -q "where:$n has no variant" "$dir/invoker4.log"; then tried=$n; break; fi
done
[ -n "${tried:-}" ] || fail "no image was tried by the arm64 invoker first"
echo "arm64: number $tried was tried by the arm64 invoker first"
echo "arm64: images run where they have a variant, and are refused once where they have none"
