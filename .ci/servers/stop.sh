#!/usr/bin/env bash
# Stops a server that start.sh started, and forgets what it stored with --clean.
# usage: stop.sh mlflow|phoenix|collector [--clean]
set -euo pipefail
servers=${SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-trace/servers}
data=$servers/data/$1
if [ -f "$data/pid" ]; then
  kill -TERM -- "-$(cat "$data/pid")" 2>/dev/null || true
  rm -f "$data/pid"
fi
[ "${2:-}" != --clean ] || rm -rf "$data"
