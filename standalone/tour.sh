#!/usr/bin/env bash
# Starts the platform, creates and invokes a first action in each language at hand, shows the results and logs, and leaves
# the platform running in the foreground. `make run` calls it; stop it with Ctrl-C.
#
# usage: tour.sh FOLDER_OF_THE_PROGRAMS
# FERROWHISK_DATA names the data folder (default: .data), FERROWHISK_LISTEN the address (default: 127.0.0.1:3233),
# TOUR_ONLY=1 stops the platform after the tour. TOUR_HOST and TOUR_KEY name a platform that is up: the tour
# goes through that one and leaves it as it is.
set -euo pipefail

bin=${1:?folder of the programs}
data=${FERROWHISK_DATA:-.data}
listen=${FERROWHISK_LISTEN:-127.0.0.1:3233}
work=$(mktemp -d)
server=

. "$(dirname "$0")/interpreters.sh"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '$ wsk %s\n' "$*"; wsk "$@"; }
wsk() { "$bin/wsk" "$@"; }

finish() {
    trap - EXIT INT TERM
    if [ -n "$server" ] && kill -TERM "$server" 2>/dev/null; then wait "$server" || true; fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 0' INT TERM

have_node=1; interpreter node nodejs || have_node=0
have_python=1; interpreter python3 python3 || have_python=0

# start: until the platform answers.
start() {
    say "Starting the platform (data in $data)"
    rm -f "$data/api.url"
    "$bin/ferrowhisk" serve --data "$data" --listen "$listen" &
    server=$!
    for _ in $(seq 200); do
        [ -s "$data/api.url" ] && break
        kill -0 "$server" 2>/dev/null || { wait "$server" || true; server=; echo "The platform did not start; it says why above." >&2; exit 1; }
        sleep 0.05
    done
    [ -s "$data/api.url" ] || { echo "The platform did not answer within ten seconds." >&2; exit 1; }
}

if [ -z "${TOUR_HOST:-}" ]; then
    start
    TOUR_HOST=$(cat "$data/api.url") TOUR_KEY=$(cat "$data/guest.auth")
    export WSK_CONFIG_FILE=$data/wskprops
else
    TOUR_ONLY=1
    export WSK_CONFIG_FILE=$work/wskprops
fi
wsk property set --apihost "$TOUR_HOST" --auth "$TOUR_KEY" >/dev/null
chmod 600 "$WSK_CONFIG_FILE"

# first NAME FILE PARAMETERS...: creates an action from a file, invokes it, shows its result and its logs.
first() {
    local name=$1 file=$2; shift 2
    show action update "$name" "$file" $kind
    show action invoke "$name" --result "$@"
    # The record follows the answer by a moment.
    for _ in $(seq 300); do wsk activation list --limit 1 2>/dev/null | grep -q "$name" && break; sleep 0.05; done
    wsk activation logs --last >"$work/logs"
    echo '$ wsk activation logs --last'; cat "$work/logs"
}

if [ "$have_node" = 1 ]; then
    say "A JavaScript action"
    cat >"$work/hello.js" <<'JS'
function main({ name = 'stranger' }) {
  console.log(`greeting ${name} from Node ${process.versions.node}`);
  return { greeting: `Hello, ${name}!` };
}
JS
    kind= first hello-js "$work/hello.js" --param name Ada
fi

if [ "$have_python" = 1 ]; then
    say "A Python action"
    cat >"$work/hello.py" <<'PY'
import sys


def main(args):
    name = args.get("name", "stranger")
    print("greeting", name, "from Python", sys.version.split()[0])
    return {"greeting": f"Hello, {name}!"}
PY
    kind= first hello-py "$work/hello.py" --param name Grace
fi

say "A native action: any program will do"
cat >"$work/hello.sh" <<'SH'
#!/bin/sh
echo "arguments: $1"
echo '{"greeting": "Hello from a shell script!"}'
SH
kind=--native first hello-native "$work/hello.sh" --param name Linus

if [ "${TOUR_ONLY:-}" = 1 ]; then exit 0; fi
say "The platform is up at $TOUR_HOST"
cat <<EOT
To go on from another shell:
    export WSK_CONFIG_FILE=$(cd "$data" && pwd)/wskprops
    $bin/wsk action list
Ctrl-C stops it; what you created stays in $data.
EOT
wait "$server"
