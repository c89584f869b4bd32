#!/usr/bin/env bash
# One cluster after another operator's task: follow an invocation, back up and restore, look at the dashboards, upgrade.
# Runs inside cluster.sh, with a collector of traces around it: see .ci/test-operations.
#
# usage: operations.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail
here=$(dirname "$0")
"$here/traces.py" check
"$here/backup.sh" "$1"
"$here/monitoring.py"
"$here/upgrade.py" "$1" --pause 1
