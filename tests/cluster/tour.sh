#!/usr/bin/env bash
# Goes through the programming model with `wsk` and prints what it sees, without what differs from run to run. Against a
# platform in one process and against a cluster it must print the same.
#
# usage: tour.sh FOLDER_OF_THE_PROGRAMS KEY HOST [HOST ...]; the hosts are used in turn.
set -euo pipefail
bin=$1 auth=$2
shift 2
hosts=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WSK_CONFIG_FILE=$work/props
turn=0

# wsk ...: prints the command and its outcome; ids, times and figures that vary are replaced.
wsk() {
    local host=${hosts[$((turn % ${#hosts[@]}))]} status=0
    turn=$((turn + 1))
    echo "\$ wsk $*" | sed "s|$work|WORK|g"
    "$bin/wsk" --apihost "$host" --auth "$auth" "$@" >"$work/out" 2>&1 || status=$?
    sed -E -e 's/[0-9a-f]{32}/ID/g' -e 's/\(code [A-Za-z0-9]+\)/(code CODE)/' -e "s|$host|HOST|g" -e "s|$work|WORK|g" \
        -e 's/"(start|end|duration|updated)": [0-9]+/"\1": N/' -e '/"key": "(waitTime|initTime)"/{n;s/[0-9]+/N/}' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g' "$work/out"
    if [ "$status" != 0 ]; then echo "exit code $status"; fi
}

# recorded NAME COUNT: waits until there are so many records of an action.
recorded() {
    local host=${hosts[0]}
    for _ in $(seq 300); do
        local count
        count=$("$bin/wsk" --apihost "$host" --auth "$auth" activation list "$1" --limit 200 2>/dev/null | tail -n +2 | wc -l)
        if [ "$count" -ge "$2" ]; then echo "# $1: $count records"; return; fi
        sleep 0.1
    done
    echo "# $1: $count records after a long wait"
}

cat >"$work/hello.js" <<'JS'
function main({ name = 'stranger' }) {
  console.log(`greeting ${name}`);
  return { greeting: `Hello, ${name}!` };
}
JS
cat >"$work/shout.js" <<'JS'
exports.main = ({ greeting = '' }) => ({ greeting: greeting.toUpperCase() });
JS
cat >"$work/fail.js" <<'JS'
function main() { return { error: 'as told' }; }
JS
cat >"$work/web.js" <<'JS'
function main(p) { return { statusCode: 201, headers: { 'x-way': p.__ow_method }, body: { q: p.q } }; }
JS
cat >"$work/count.py" <<'PY'
def main(args):
    return {"words": len(args.get("text", "").split())}
PY
cat >"$work/native.sh" <<'SH'
#!/bin/sh
echo "native" >&2
echo '{"native": true}'
SH

wsk action create hello "$work/hello.js" -p name World
wsk action create hello "$work/hello.js"
wsk action invoke hello --result
wsk action invoke hello --result -p name Ada
wsk action invoke hello
recorded hello 3
wsk action update hello "$work/hello.js" -p name Earth -a description "says hello"
wsk action invoke hello --result
wsk action get hello
wsk action create shout "$work/shout.js"
wsk action create loud --sequence hello,shout
wsk action invoke loud --result -p name Eve
wsk action create fails "$work/fail.js"
wsk action invoke fails --blocking --result
wsk action create count "$work/count.py"
wsk action invoke count --result -p text "one two three"
wsk action create native "$work/native.sh" --native
wsk action invoke native --result
wsk action create web "$work/web.js" --web true
for host in "${hosts[@]:0:1}"; do
    curl -s -i "$host/api/v1/web/guest/default/web.json?q=7" | tr -d '\r' | grep -iE '^(HTTP|x-way|\{)' || true
    curl -s -i "$host/api/v1/web/guest/default/web.http?q=7" | tr -d '\r' | grep -iE '^(HTTP|x-way|\{)' || true
done
wsk package create tools -p name Package
wsk action create tools/hello "$work/hello.js"
wsk action invoke tools/hello --result
wsk package bind tools mine -p name Bound
wsk action invoke mine/hello --result
wsk package get tools --summary
wsk trigger create ping -p name Trigger
wsk rule create ping-hello ping tools/hello
wsk trigger fire ping
recorded tools/hello 2
wsk rule disable ping-hello
wsk trigger fire ping
wsk rule status ping-hello
wsk rule list
wsk trigger list
wsk namespace list
wsk activation list nobody
wsk activation get 00000000000000000000000000000000
wsk action get missing
wsk action invoke missing
wsk action delete loud
wsk action delete loud
wsk package delete tools
wsk rule delete ping-hello
wsk trigger delete ping
