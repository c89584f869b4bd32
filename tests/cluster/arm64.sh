#!/usr/bin/env bash
# An invoker on 64-bit ARM beside those of this machine, in one cluster: actions land where they can run, and what cannot run
# where it is wanted is answered readably. The machine is a folder with Debian's programs for arm64, whose processes the
# kernel hands to an emulator; the invoker, the proxy and the interpreters in it are programs for arm64. Run by cluster.sh,
# as root: .ci/test-arm64.
#
# usage: arm64.sh PROGRAMS FOLDER_OF_THE_MACHINE
#
# An emulated process has no system call filter, no Landlock and no namespaces, so that sandboxes have none either (they are
# tested on this machine's own processor); user ids, limits and control groups hold.
set -euo pipefail

bin=$(realpath "$1")
machine=$(realpath "$2")
gateway=${CLUSTER_GATEWAYS%% *}
dir=$CLUSTER_DIR/arm64
mkdir -p "$dir"
export WSK_CONFIG_FILE=$dir/wskprops
"$bin/wsk" property set --apihost "$gateway" --auth "$CLUSTER_AUTH" >/dev/null

fail() {
    echo "arm64: $*" >&2
    echo "--- the invoker" >&2
    tail -n 20 "$dir/log" >&2
    exit 1
}

invoker=
stop() {
    status=$?
    trap - EXIT
    if [ -n "$invoker" ]; then
        kill -TERM "$invoker" 2>/dev/null || true
        wait "$invoker" 2>/dev/null || true
    fi
    exit "$status"
}
trap stop EXIT

# The fourth invoker: the first one's configuration but for what is a machine's own.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python3 - "$CLUSTER_DIR/invoker0.toml" "$port" >"$dir/invoker.toml" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
text = re.sub(r'(?m)^admin = .*$', f'admin = "127.0.0.1:{sys.argv[2]}"', text)
text = re.sub(r'(?m)^id = 0$', 'id = 3', text)
text = re.sub(r'(?m)^name = .*$', 'name = "arm"\nlabels = ["edge"]\nprewarm = false', text)
text = re.sub(r'(?m)^uid_base = .*$', 'uid_base = 260000', text)
text = re.sub(r'(?m)^cgroup_parent = "(.*)-0"$', r'cgroup_parent = "\1-3"', text)
text = re.sub(r'(?m)^run_dir = .*$', 'run_dir = "/run/ferrowhisk"', text)
text = re.sub(r'(?m)^key_file = .*$', 'key_file = "/run/secrets.keys"', text)
print(text)
PY
# shellcheck disable=SC2016
unshare --mount --propagation private bash -euc '
    machine=$1 config=$2 keys=$3
    for folder in proc sys dev; do mkdir -p "$machine/$folder"; mount --rbind "/$folder" "$machine/$folder"; done
    mount -t tmpfs run "$machine/run"
    mount -t tmpfs tmp "$machine/tmp"
    chmod 1777 "$machine/tmp"
    cp "$config" "$machine/run/invoker.toml"
    cp "$keys" "$machine/run/secrets.keys"
    exec chroot "$machine" /opt/ferrowhisk/ferrowhisk-invoker --config /run/invoker.toml
' - "$machine" "$dir/invoker.toml" "$CLUSTER_DIR/secrets.keys" >"$dir/out" 2>"$dir/log" &
invoker=$!

known() { curl -s "$gateway/invokers" | grep -o '"invoker3[^"]*":"up"' || true; }
for _ in $(seq 1200); do
    if [ -n "$(known)" ] && [ -n "$(known)" ]; then break; fi
    kill -0 "$invoker" 2>/dev/null || fail "the invoker ended"
    sleep 0.1
done
[ -n "$(known)" ] || fail "the invoker is not up"

# asks NAME FILE WHAT ...: an action of this file.
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
