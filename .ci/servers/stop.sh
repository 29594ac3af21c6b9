#!/usr/bin/env bash
# Stops a server that start.sh started, and forgets what it stored with --clean.
# With --signal it only sends one (KILL, STOP, CONT) to all of its processes.
# usage: stop.sh mlflow|phoenix|collector [--clean | --signal NAME]
# Exit codes: 77 there is no server to send a signal to.
set -euo pipefail
servers=${SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-trace/servers}
data=$servers/data/$1
if [ "${2:-}" = --signal ]; then
  [ -f "$data/pid" ] || { echo "stop.sh: start.sh did not start $1" >&2; exit 77; }
  kill -"$3" -- "-$(cat "$data/pid")"
  exit
fi
if [ -f "$data/pid" ]; then
  kill -TERM -- "-$(cat "$data/pid")" 2>/dev/null || true
  rm -f "$data/pid"
fi
[ "${2:-}" != --clean ] || rm -rf "$data"
