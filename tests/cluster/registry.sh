#!/usr/bin/env bash
# A private registry on a cluster: an image is pulled as the namespace whose action names it, and whoever may not have it hears so.
# Run by cluster.sh with a Docker engine; FERROWHISK_TEST_REGISTRY names the program of a registry.
#
# usage: registry.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail
. "$(dirname "$0")/images.sh"
bin=$1
dir=$CLUSTER_DIR/registry
mkdir "$dir"
open_registry "$dir"
trap 'kill "$registry_process"' EXIT
gcc -static -O1 -o "$dir/where" "$(dirname "$0")/where.c"
pushed where:1 "$(docker version --format '{{.Server.Arch}}')" "$dir/where"

admin() { "$bin/wskadmin" --config "$CLUSTER_DIR/wskadmin.toml" "$@"; }
as() { "$bin/wsk" --apihost "${CLUSTER_GATEWAYS%% *}" --auth "$@"; }
given() {
    admin registry set "$1" "$registry" --key-file "$CLUSTER_DIR/secrets.keys" --username "$registry_user" --password-file - <<<"$2" >/dev/null
}
# expect WHO KEY TEXT: the result of the action, or the error it ends with, has this text.
expect() {
    local answer
    answer=$(as "$2" action invoke where --result 2>&1 || true)
    case $answer in
        *"$3"*) echo "registry: $1: $(printf '%s' "$answer" | tr -s '\n ' ' ')" ;;
        *) echo "registry: $1: expected «$3», got: $answer" >&2; exit 1 ;;
    esac
}
# logged TEXT: the operator finds the registry's own words.
logged() {
    grep -hq "$1" "$CLUSTER_DIR"/invoker*.log || { echo "registry: no invoker's log says '$1'" >&2; exit 1; }
}

stranger=$(admin user create stranger)
for key in "$CLUSTER_AUTH" "$stranger"; do as "$key" action update where --docker "$registry/where:1" >/dev/null; done
refused="Failed to pull container image '$registry/where:1'."
expect 'nobody' "$CLUSTER_AUTH" "$refused"
logged 'no basic auth credentials'
given guest guessed
expect 'a wrong password' "$CLUSTER_AUTH" "$refused"
logged 'unauthorized'
given guest "$registry_password"
expect 'the namespace of the user' "$CLUSTER_AUTH" '"on"'
expect 'another namespace, though the image is on the node' "$stranger" "$refused"
