#!/usr/bin/env bash
# A rolling upgrade of a whole cluster under load, without a failed request and without a lost activation; upgrade.py says what
# counts as failed.
#
# usage: upgrade.sh FOLDER_OF_THE_OLD_PROGRAMS FOLDER_OF_THE_NEW_PROGRAMS [--rate N] [--pause SECONDS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
old=$(realpath "${1:?folder of the old programs}")
new=$(realpath "${2:?folder of the new programs}")
shift 2
exec "$here/cluster.sh" "$old" python3 "$here/upgrade.py" "$new" "$@"
