#!/usr/bin/env bash
# An invoker and a controller of a cluster die for good: others take over what they had. See takeover.py.
#
# usage: takeover.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail
bin=$(realpath "${1:?folder of the programs}")
here=$(cd "$(dirname "$0")" && pwd)
# Sooner than by default, so that nobody waits a minute for it.
export FERROWHISK_CONTROLLER_CONTROLLER__TAKEOVER_AFTER_MS=5000
exec "$here/cluster.sh" "$bin" python3 "$here/takeover.py" "$bin"
