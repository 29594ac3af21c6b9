#!/usr/bin/env bash
# Builds what is shipped, packs it into `target/packages`, and tests the packages. For a tag on GitHub, it also makes
# the release, or adds to that which the same script has made on another platform; GH_TOKEN must be set.
set -euo pipefail

cd "$(dirname "$0")/.."
# There is one formula, for the first platform.
if [ -n "${GITHUB_REPOSITORY:-}" ] && [ "$(uname -m)" = x86_64 ]; then
    export CODEX_TRACE_RELEASES=${CODEX_TRACE_RELEASES:-$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/releases/download}
fi
out=target/packages
cargo build --locked --profile dist -p converter-cli -p codex-trace-python
# What everybody downloads stays small: docs/performance.md says how. The limit is that of x86-64.
size=$(stat -c %s target/dist/codex-trace)
if [ "$size" -gt 12000000 ] && [ "$(uname -m)" = x86_64 ]; then
    echo "release.sh: the binary has $size bytes, more than 12 MB" >&2
    exit 1
fi
rm -rf "$out"
packaging/pack.sh target/dist/codex-trace target/dist/lib_core.so "$out"
packaging/test.sh target/dist/codex-trace "$out"

if [ "${GITHUB_REF_TYPE:-}" = tag ]; then
    version=$(target/dist/codex-trace --version | cut -d' ' -f2)
    if [ "$GITHUB_REF_NAME" != "v$version" ]; then
        echo "release.sh: the tag is $GITHUB_REF_NAME, but the binary is $version" >&2
        exit 1
    fi
    # Fails where another platform was faster.
    gh release create "$GITHUB_REF_NAME" --title "codex-trace $version" --notes-file CHANGELOG.md || true
    gh release upload "$GITHUB_REF_NAME" --clobber "$out"/*
fi
