#!/usr/bin/env bash
# Installs the servers that docs/testing-servers.md tells of, from PyPI and Debian.
# usage: install.sh [mlflow] [phoenix] [collector] [prometheus] [browser]
# Everything but Prometheus and the browser (Debian packages) lands below $SERVERS.
set -euo pipefail
servers=${SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-trace/servers}
mkdir -p "$servers"

venv() { # NAME PACKAGE
  python3 -m venv "$servers/$1"
  "$servers/$1/bin/pip" install --quiet --disable-pip-version-check "$2"
}

for name in "$@"; do
  case $name in
    mlflow) venv mlflow mlflow==3.17.2 ;;
    phoenix) venv phoenix arize-phoenix==20.26.1 ;;
    collector) "$(dirname "$0")/collector/build.sh" ;;
    prometheus) apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus ;;
    browser)
      apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
      mkdir -p "$servers/browser" && cd "$servers/browser" && npm install --silent playwright-core
      ;;
    *) echo "install.sh: no server is called $name" >&2; exit 2 ;;
  esac
  echo "$name is installed"
done
