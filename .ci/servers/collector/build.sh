#!/usr/bin/env bash
# Builds the OpenTelemetry Collector of main.go from Debian unstable's packages of Go and of the
# collector's libraries: two minutes, 1.5 GB meanwhile, 30 MB in the end. The system's own package
# lists stay as they are: everything is unpacked aside.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
servers=${SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-trace/servers}
target=$servers/collector
work=$target/build
mkdir -p "$target/bin" "$work"/{lists/partial,cache/archives/partial,packages,tree,path/src/otelcol}
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

debian=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ' || true)
[ -n "$debian" ] || { echo "build.sh: the system's package sources name no Debian mirror" >&2; exit 1; }
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $debian sid main" >"$work/sources.list"
aside() {
  "$1" -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" "${@:2}"
}

aside apt-get update
# What the collector's library depends on; without large ones that nothing here links.
mapfile -t libraries < <(aside apt-cache depends --recurse --no-recommends --no-suggests \
  --no-conflicts --no-breaks --no-replaces --no-enhances golang-opentelemetry-collector-dev |
  grep -xE 'golang-[a-z0-9.+-]+-dev' | sort -u |
  grep -vE 'aws-|google-(cloud|api)-dev|arrow-go|cloudflare-circl|golang-x-tools-dev')
(cd "$work/packages" && aside apt-get download golang-1.27-go golang-1.27-src "${libraries[@]}")
for package in "$work"/packages/*.deb; do dpkg -x "$package" "$work/tree"; done

cp "$here"/*.go "$work/path/src/otelcol/"
export GOROOT=$work/tree/usr/lib/go-1.27 GOPATH=$work/path:$work/tree/usr/share/gocode
export GOCACHE=$work/gocache GO111MODULE=off GOTOOLCHAIN=local GOPROXY=off GOTELEMETRY=off CGO_ENABLED=0
cd "$work/path/src/otelcol"
"$GOROOT/bin/go" build -trimpath -ldflags=-s -o "$target/bin/otelcol" .
