#!/usr/bin/env bash
# Plays the Slack story on a platform of its own, with stand-ins for Slack and the weather service, and shows each step.
# `make demo` calls it. It ends by itself, with exit code 0 when every step went as it should, and leaves nothing behind.
#
# usage: demo.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail

bin=${1:?folder of the programs}
. "$(dirname "$0")/interpreters.sh"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

interpreter node nodejs || { echo "The story has an action in JavaScript, so it is not played." >&2; exit 1; }
exec "$bin/wsk-demo" "$bin"
