#!/bin/sh
# Measures a Codex home and writes a section for docs/performance.md: machine,
# date, ratios against the targets, memory, and what a peer takes where it can
# be installed.
#
#   benches/targets.sh HOME [OUT.md]
#
# HOME must not be compressed. With NO_PEERS=1 nothing is downloaded; with
# CCUSAGE=/path/to/ccusage that one is measured.
set -eu
home=${1:?usage: benches/targets.sh HOME [OUT.md]}
out=${2:-/dev/stdout}
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cargo build -q --release --manifest-path "$root/Cargo.toml" \
    -p converter-cli -p codex-trace-benches
trace=$target/release/codex-trace
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints wall seconds, processor seconds and peak megabytes: the best of three.
timed() {
    for _ in 1 2 3; do
        /usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" >/dev/null 2>"$work/stderr" || {
            cat "$work/stderr" >&2
            return 1
        }
        awk '{ printf "%.2f | %.2f | %.0f\n", $1, $2 + $3, $4 * 1.024 / 1000 }' "$work/time"
    done | sort -n | head -1
}

if [ -z "${CCUSAGE:-}" ] && [ -z "${NO_PEERS:-}" ] && command -v npm >/dev/null &&
    [ "$(uname -sm)" = "Linux x86_64" ]; then
    npm install --silent --no-fund --no-audit --prefix "$work/npm" \
        @ccusage/ccusage-linux-x64 >&2 &&
        CCUSAGE=$(find "$work/npm/node_modules/@ccusage" -type f -name 'ccusage*' -size +1000k | head -1) &&
        chmod +x "$CCUSAGE"
fi

{
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -1)
    echo "### $(date -u +%Y-%m-%d): ${model:-$(uname -m)}, $(getconf _NPROCESSORS_ONLN) processors, load $(cut -d' ' -f1 /proc/loadavg 2>/dev/null)"
    echo
    "$target/release/targets" "$home"
    echo
    echo "| whole process, 2 threads | wall s | cpu s | peak MB |"
    echo "|---|---|---|---|"
    echo "| \`codex-trace usage --json\` | $(timed "$trace" -q -j2 usage --json "$home") |"
    echo "| \`codex-trace list --json\` | $(timed "$trace" -q -j2 list --json "$home") |"
    echo "| \`codex-trace convert\` to nowhere | $(timed "$trace" -q -j2 convert "$home") |"
    if [ -n "${CCUSAGE:-}" ]; then
        name=$("$CCUSAGE" --version 2>/dev/null | tail -1)
        row=$(CODEX_HOME=$home timed "$CCUSAGE" codex daily --offline --json) &&
            echo "| ccusage $name \`codex daily --offline --json\` | $row |"
    fi
} >"$out"
