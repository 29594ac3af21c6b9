#!/usr/bin/env bash
# Builds what is shipped, packs it into `target/packages`, and tests the packages. For a tag on GitHub, it also makes
# the release, or adds to that which the same script has made on another platform; GH_TOKEN must be set.
#
#   packaging/release.sh [TARGET]
#
# With TARGET it builds for another platform, by `packaging/cross.sh`; what this machine cannot run is not tested.
set -euo pipefail

cd "$(dirname "$0")/.."
# There is one formula, for the first platform.
if [ -n "${GITHUB_REPOSITORY:-}" ] && [ "$(uname -m)" = x86_64 ]; then
    export CODEX_TRACE_RELEASES=${CODEX_TRACE_RELEASES:-$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/releases/download}
fi
out=target/packages
native=target/dist/codex-trace
rm -rf "$out"
if [ -n "${1:-}" ]; then
    cargo build --locked --profile dist -p converter-cli
    packaging/cross.sh "$1" --profile dist
    binary=target/$1/dist/codex-trace
    if [ ! -e "$binary" ]; then binary+=.exe; fi
    packaging/pack.sh "$binary" - "$out" "$1" "$native"
else
    cargo build --locked --profile dist -p converter-cli -p codex-trace-python
    binary=$native
    # What everybody downloads stays small: docs/performance.md says how. The limit is that of x86-64.
    size=$(stat -c %s "$binary")
    if [ "$size" -gt 12000000 ] && [ "$(uname -m)" = x86_64 ]; then
        echo "release.sh: the binary has $size bytes, more than 12 MB" >&2
        exit 1
    fi
    packaging/pack.sh "$binary" target/dist/lib_core.so "$out"
fi
if [ -z "${1:-}" ] || "$binary" --version >/dev/null 2>&1; then
    packaging/test.sh "$binary" "$out"
else
    echo "release.sh: this machine does not run $binary, so its packages are not tested" >&2
fi

if [ "${GITHUB_REF_TYPE:-}" = tag ]; then
    version=$("$native" --version | cut -d' ' -f2)
    if [ "$GITHUB_REF_NAME" != "v$version" ]; then
        echo "release.sh: the tag is $GITHUB_REF_NAME, but the binary is $version" >&2
        exit 1
    fi
    # Fails where another platform was faster.
    gh release create "$GITHUB_REF_NAME" --title "codex-trace $version" --notes-file CHANGELOG.md || true
    gh release upload "$GITHUB_REF_NAME" --clobber "$out"/*
fi
