#!/usr/bin/env bash
# A whole cluster on loopback: Kafka, a server with CouchDB's interface, 2 gateways, 2 controllers, 3 invokers, each a process
# of its own. Creates and invokes first actions through either gateway, shows the results, and stays up; Ctrl-C stops
# everything and leaves nothing behind. `make cluster` calls it.
#
# usage: cluster.sh FOLDER_OF_THE_PROGRAMS [COMMAND ...]; with a command, that is run instead of staying up, with
# CLUSTER_GATEWAYS, CLUSTER_AUTH and CLUSTER_DIR in its environment, and its exit code is ours. CLUSTER_INVOKER: further lines
# for the section `[invoker]`; CLUSTER_GATEWAY and CLUSTER_CONTROLLER: lines for the top of theirs; CLUSTER_LOGS: a folder for
# all logs of a run that fails. Two of the invokers use a Docker engine, started for them in a network of its own with
# everything else; CLUSTER_DOCKER=no: all use processes.
set -euo pipefail

bin=$(realpath "${1:?folder of the programs}")
shift
root=$(cd "$(dirname "$0")/../.." && pwd)

# Why there is no Docker engine to be had; nothing when there is.
no_docker() {
    if [ "${CLUSTER_DOCKER:-}" = no ]; then echo "CLUSTER_DOCKER=no"; return; fi
    if [ "$(id -u)" != 0 ]; then echo "starting an engine takes root"; return; fi
    if [ -n "${FERROWHISK_TEST_COUCHDB:-}${FERROWHISK_TEST_KAFKA:-}" ]; then echo "Kafka or CouchDB is elsewhere"; return; fi
    for program in dockerd docker ip unshare openssl; do
        if ! command -v "$program" >/dev/null; then echo "there is no $program"; return; fi
    done
    if ! "$bin/ferrowhisk-invoker" --config <(echo '[containers.docker]') --print-config >/dev/null 2>&1; then
        echo "the invoker was built without it (feature docker)"
    fi
}

# Everything moves into the engine's network; what must be fetched is fetched before, where there is another.
if [ -z "${CLUSTER_ENGINE:-}" ]; then
    why=$(no_docker)
    if [ -n "$why" ]; then
        echo "No Docker, all invokers use processes: $why" >&2
        # Where tests count, nothing is left out that was not asked to be.
        if [ "${CI:-}" = true ] && [ "${CLUSTER_DOCKER:-}" != no ]; then exit 77; fi
        export CLUSTER_ENGINE=none
    else
        "$root/.ci/fetch-kafka" >/dev/null
        "$root/.ci/fetch-couchdb" >/dev/null
        # shellcheck disable=SC2016
        CLUSTER_ENGINE=own exec "$root/.ci/with-docker" "$0" "$bin" "$@"
    fi
fi

# Kafka and CouchDB come first: their own scripts start them, run this one again in between, and stop them.
if [ -z "${FERROWHISK_TEST_COUCHDB:-}" ] || [ -z "${FERROWHISK_TEST_KAFKA:-}" ]; then
    echo "Starting Kafka and a server with CouchDB's interface ..." >&2
    exec "$root/.ci/test-kafka" "$root/.ci/test-couchdb" "$0" "$bin" "$@"
fi

if [ "$CLUSTER_ENGINE" = own ]; then
    echo "Making the images of the languages ..." >&2
    export DOCKER_HOST=$FERROWHISK_TEST_DOCKER
    "$root/.ci/machine-image" ferrowhisk/machine
    made=$(BASE=ferrowhisk/machine PROXY=$bin/wsk-proxy "$root/runtimes/build-images" 2>&1) || { echo "$made" >&2; exit 1; }
fi

dir=$(mktemp -d)
secret=$(head -c 32 /dev/urandom | base64 | tr -d '=+/\n')
(umask 077 && head -c 32 /dev/urandom | base64 >"$dir/secrets.keys")
prefix=cluster_$(head -c 4 /dev/urandom | od -An -tx1 | tr -d ' \n')_
declare -A pids=()
controller_lines='linger = "2500ms"' gateway_lines='linger = "1s"'
# Ports that nobody has at the moment, so that a service that is started again is where it was; below those that the system
# gives to connections, which might take one meanwhile.
read -r -a ports < <(python3 -c '
import random, socket
sockets = []
while len(sockets) < 11:
    s = socket.socket()
    try: s.bind(("127.0.0.1", random.randrange(20000, 32000)))
    except OSError: continue
    sockets.append(s)
print(*(s.getsockname()[1] for s in sockets))')

# left: fails and says so when services have left something behind; takes away what is empty.
left() {
    local found
    found=$(
        find /sys/fs/cgroup -mindepth 2 -type d -path "*/ferrowhisk-$$-*/*" 2>/dev/null
        find "$dir"/sandboxes* -mindepth 1 2>/dev/null
        grep -lsz -F -f <(echo "$dir/") /proc/[0-9]*/cmdline
        if [ "$CLUSTER_ENGINE" = own ]; then docker ps --all --quiet; fi
    )
    find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "ferrowhisk-$$-*" -exec rmdir {} + 2>/dev/null || true
    if [ -z "$found" ]; then return 0; fi
    echo "The cluster left behind:" >&2
    head -n 20 <<<"$found" >&2
    return 1
}

stop() {
    status=$?
    trap - EXIT INT TERM
    # Ctrl-C may have ended it already.
    if [ -n "${staying:-}" ]; then kill "$staying" 2>/dev/null || true; fi
    for stage in gateway invoker controller; do
        for file in "$dir/$stage"*.pid; do
            if [ -e "$file" ]; then kill -TERM "$(cat "$file")" 2>/dev/null || true; fi
        done
        for file in "$dir/$stage"*.pid; do
            # Not all of them are children of this shell: a test may have started them again.
            for _ in $(seq 400); do
                if [ ! -e "$file" ] || ! kill -0 "$(cat "$file")" 2>/dev/null; then break; fi
                sleep 0.1
            done
        done
    done
    left || status=1
    if [ "$status" != 0 ]; then
        for log in "$dir"/*.log; do echo "--- ${log##*/}" >&2; tail -n 5 "$log" >&2; done
        if [ -n "${CLUSTER_LOGS:-}" ]; then
            mkdir -p "$CLUSTER_LOGS" && cp "$dir"/*.log "$CLUSTER_LOGS" || echo "The logs could not be kept" >&2
        fi
    fi
    rm -rf "$dir"
    exit "$status"
}
trap stop EXIT
trap 'exit 0' INT TERM

# service NAME PROGRAM: writes its configuration from standard input and starts it.
service() {
    local name=$1 program=$2
    {
        cat
        echo '[store]'
        echo 'type = "couchdb"'
        echo "url = \"$FERROWHISK_TEST_COUCHDB\""
        echo "prefix = \"$prefix\""
        if [ "$program" != ferrowhisk-gateway ]; then
            echo '[secrets]'
            echo "key_file = \"$dir/secrets.keys\""
            echo '[bus]'
            echo 'type = "kafka"'
            echo "brokers = \"$FERROWHISK_TEST_KAFKA\""
            echo "topic_prefix = \"$prefix\""
            echo 'session_timeout_ms = 6000'
        fi
    } >"$dir/$name.toml"
    # Of its own session: Ctrl-C is for this script, which ends services in the order in which they need each other.
    setsid "$bin/$program" --config "$dir/$name.toml" >"$dir/$name.out" 2>>"$dir/$name.log" &
    pids[$name]=$!
    echo $! >"$dir/$name.pid"
}

# address NAME LISTENER: where a service listens, once it says so.
address() {
    for _ in $(seq 300); do
        local found
        found=$(sed -n "s|^$2 http://||p" "$dir/$1.out" 2>/dev/null | sed 's|^0\.0\.0\.0:|127.0.0.1:|' | head -n 1)
        if [ -n "$found" ]; then echo "$found"; return; fi
        kill -0 "${pids[$1]}" 2>/dev/null || { echo "$1 did not start" >&2; return 1; }
        sleep 0.1
    done
    echo "$1 does not listen" >&2
    return 1
}

ready() {
    local admin
    admin=$(address "$1" admin)
    for _ in $(seq 600); do
        if [ "$(curl -s "http://$admin/ready")" = ready ]; then return; fi
        kill -0 "${pids[$1]}" 2>/dev/null || { echo "$1 ended" >&2; return 1; }
        sleep 0.1
    done
    echo "$1 is not ready" >&2
    return 1
}

controllers=
for n in 0 1; do
    service controller$n ferrowhisk-controller <<TOML
listen = "127.0.0.1:${ports[$n]}"
admin = "127.0.0.1:${ports[$((n + 2))]}"
identity_secret = "$secret"
${CLUSTER_CONTROLLER-$controller_lines}
[controller]
id = "$n"
cluster_size = 2
invocations_per_minute = 100000
concurrent_invocations = 10000
fires_per_minute = 100000
TOML
    controllers="$controllers\"$(address controller$n controller)\","
done

# Actions in containers reach the gateways by the engine's bridge, which nobody outside does.
gateways='' everywhere=127.0.0.1
if [ "$CLUSTER_ENGINE" = own ]; then everywhere=0.0.0.0; fi
for n in 0 1; do
    service gateway$n ferrowhisk-gateway <<TOML
listen = "$everywhere:${ports[$((n + 4))]}"
admin = "127.0.0.1:${ports[$((n + 6))]}"
identity_secret = "$secret"
${CLUSTER_GATEWAY-$gateway_lines}
controllers = [$controllers]
TOML
    gateways="$gateways http://$(address gateway$n gateway)"
done
gateways=${gateways# }

# where_actions_run N: the section of the invoker that says it.
where_actions_run() {
    if [ "$CLUSTER_ENGINE" = own ] && [ "$1" != 2 ]; then
        echo '[containers.docker]'
        echo "engine = \"$FERROWHISK_TEST_DOCKER\""
    else
        echo '[containers.process]'
        echo "uid_base = $((200000 + $1 * 10000))"
        echo "cgroup_parent = \"/ferrowhisk-$$-$1\""
        echo "run_dir = \"$dir/sandboxes$1\""
    fi
}

for n in 0 1 2; do
    api_host=${gateways%% *}
    if [ "$CLUSTER_ENGINE" = own ] && [ $n != 2 ]; then api_host=${api_host/127.0.0.1/172.30.255.1}; fi
    service invoker$n ferrowhisk-invoker <<TOML
admin = "127.0.0.1:${ports[$((n + 8))]}"
api_host = "$api_host"
[invoker]
id = $n
name = "node$n"
memory_mb = 1024
${CLUSTER_INVOKER:-}
$(where_actions_run $n)
TOML
done
for name in "${!pids[@]}"; do ready "$name"; done

# Every controller knows every invoker; requests go to the controllers in turn.
for gateway in $gateways; do
    known=0
    for _ in $(seq 600); do
        if [ "$(curl -s "$gateway/invokers" | grep -o '"up"' | wc -l)" = 3 ]; then known=$((known + 1)); else known=0; fi
        if [ $known = 4 ]; then break; fi
        sleep 0.1
    done
    if [ $known != 4 ]; then echo "the invokers are not up" >&2; exit 1; fi
done

# Nobody reaches a controller without a gateway's word.
for n in 0 1; do
    direct=$(curl -s -o "$dir/direct" -w '%{http_code}' -u "guest:guest" "http://$(address controller$n controller)/api/v1/namespaces")
    if [ "$direct" != 401 ]; then echo "controller$n answered $direct to a request that no gateway signed" >&2; exit 1; fi
done

# A first user, as an operator makes one.
cat >"$dir/wskadmin.toml" <<TOML
type = "couchdb"
url = "$FERROWHISK_TEST_COUCHDB"
prefix = "$prefix"
TOML
auth=$("$bin/wskadmin" --config "$dir/wskadmin.toml" user create guest) || { echo "$auth" >&2; exit 1; }
# The system packages, as an operator installs them.
"$bin/wskadmin" --config "$dir/wskadmin.toml" catalog install --apihost "${gateways%% *}" >"$dir/catalog" || { cat "$dir/catalog" >&2; exit 1; }
export CLUSTER_GATEWAYS=$gateways CLUSTER_AUTH=$auth CLUSTER_DIR=$dir

if [ $# -gt 0 ]; then
    "$@"
    exit
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
cat >"$dir/hello.sh" <<'SH'
#!/bin/sh
echo "arguments: $1"
echo '{"greeting": "Hello from a cluster!"}'
SH
cat >"$dir/hello.js" <<'JS'
function main(args) { console.log('arguments:', JSON.stringify(args)); return {greeting: 'Hello from a cluster!'}; }
JS
cat >"$dir/hello.py" <<'PY'
def main(args):
    print("arguments:", args)
    return {"greeting": "Hello from a cluster!"}
PY
export WSK_CONFIG_FILE=$dir/wskprops
# hello NAME WHAT ...: creates it, invokes it, and shows its log.
hello() {
    "$bin/wsk" action update "$@"
    "$bin/wsk" action invoke "$1" --result --param name Ada
    for _ in $(seq 100); do "$bin/wsk" activation list --limit 1 | grep -q "$1" && break; sleep 0.1; done
    "$bin/wsk" activation logs --last
}
for gateway in $gateways; do
    say "Through the gateway at $gateway"
    "$bin/wsk" property set --apihost "$gateway" --auth "$auth" >/dev/null
    hello native "$dir/hello.sh" --native
    hello node "$dir/hello.js"
    hello python "$dir/hello.py"
    if [ "$CLUSTER_ENGINE" = own ]; then
        # An image of a user's, which only the invokers with Docker run.
        docker tag openwhisk/action-nodejs-v20:nightly ada/node:1
        hello image "$dir/hello.js" --docker ada/node:1
    fi
done
say "The cluster is up"
echo "To go on from another shell:"
echo "    export WSK_CONFIG_FILE=$dir/wskprops"
inside=
if [ "$CLUSTER_ENGINE" = own ]; then
    inside="nsenter --target $$ --net "
    echo "    # two invokers use Docker, in a network of its own: DOCKER_HOST=$DOCKER_HOST docker ps"
fi
echo "    $inside$bin/wsk action list"
echo "Logs are in $dir. Ctrl-C stops everything."
sleep infinity &
staying=$!
wait "$staying"
