#!/usr/bin/env bash
# The tours of clients that nobody here wrote, against a platform that is up: each must print the transcript that it prints
# against the platform in one process, where `wsk-tests` runs the same tours. What .ci/fetch-clients did not fetch is announced
# and left out, and fails when CI=true.
#
# usage: clients.sh KEY OTHER_KEY CERTIFICATE SECURE_HOST HOST [HOST ...]; the clients use the hosts in turn.
set -euo pipefail
tours=$(cd "$(dirname "$0")/../clients" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ferrowhisk/clients
export TOUR_KEY=$1 TOUR_OTHER_KEY=$2 TOUR_CERTIFICATE=$3 TOUR_SECURE_HOST=$4
shift 4
hosts=("$@")
unset WSK_CONFIG_FILE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
turn=0 failed=0 lines=0

# Empties the namespace: a tour lists what is there, and some leave their own behind.
clear_namespace() {
    python3 - "$1" "$TOUR_KEY" <<'PY'
import base64, json, sys, urllib.request

host, key = sys.argv[1:]

def ask(method, path):
    request = urllib.request.Request(f"{host}/api/v1/namespaces/_/{path}", method=method)
    request.add_header("authorization", "Basic " + base64.b64encode(key.encode()).decode())
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

for collection in ["rules", "triggers", "actions", "packages"]:
    for entity in ask("GET", f"{collection}?limit=200"):
        package = entity["namespace"].partition("/")[2]
        ask("DELETE", f"{collection}/{package}/{entity['name']}".replace("//", "/"))
PY
}

# tour CLIENT COMMAND ...
tour() {
    local client=$1
    shift
    export TOUR_HOST=${hosts[$((turn % ${#hosts[@]}))]} TOUR_SCRATCH=$work/$client
    clear_namespace "$TOUR_HOST"
    turn=$((turn + 1))
    mkdir -p "$TOUR_SCRATCH"
    if ! (cd "$TOUR_SCRATCH" && HOME=$TOUR_SCRATCH timeout 300 "$@") </dev/null >"$work/$client.shown" 2>"$work/$client.told"; then
        echo "clients: $client stumbled:" >&2
        tail -n 5 "$work/$client.shown" >&2
        tail -n 20 "$work/$client.told" >&2
        failed=1
    elif ! diff -u "$tours/$client/transcript.txt" "$work/$client.shown" >&2; then
        echo "clients: $client does not see the same (see the difference above)" >&2
        failed=1
    fi
    lines=$((lines + $(wc -l <"$work/$client.shown")))
}

lacking() {
    echo "clients: $1 is not there; .ci/fetch-clients fetches it" >&2
    if [ "${CI:-}" = true ]; then failed=1; fi
}

node_tour() {
    local client=$1
    if cmp -s "$tours/$client/package-lock.json" "$cache/$client/fetched.json"; then
        NODE_PATH=$cache/$client/node_modules tour "$client" node "$tours/$client/tour.js"
    else
        lacking "$client"
    fi
}

for client in openwhisk composer serverless wskdebug; do node_tour "$client"; done
if (cd "$tours/go" && GOFLAGS=-mod=readonly GOPROXY=off go build -o "$work/go-tour" .) 2>"$work/go.told"; then
    tour go "$work/go-tour"
else
    cat "$work/go.told" >&2
    lacking go
fi
if [ "$failed" = 0 ]; then echo "clients: $turn clients see the same, in $lines lines"; fi
exit "$failed"
