#!/usr/bin/env bash
# Installs each package into an empty prefix, and compares what it does with what the plain binary does:
#
#   packaging/test.sh BINARY PACKAGES
#
# BINARY is what PACKAGES (the OUTDIR of pack.sh) were made from; if it is for another machine, this one must be able to
# run it (QEMU or Wine with binfmt_misc). Uses no network. A package that was not made, or whose installer is not here, is
# skipped, and that is said.
set -euo pipefail

binary=$(realpath "$1")
packages=$(realpath "$2")
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$root"
export CODEX_HOME=$root/testdata/tree HOME=$scratch/home
mkdir "$HOME"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# code COMMAND…: its exit code.
code() {
    local code=0
    "$@" >/dev/null 2>&1 || code=$?
    echo "$code"
}

"$binary" convert testdata/tree >"$scratch/convert"
"$binary" list testdata/tree >"$scratch/list"
wrong=(convert no-such-session)
wrong_code=$(code "$binary" "${wrong[@]}")
[ "$wrong_code" != 0 ] || fail "the command that should fail does not"

# check NAME COMMAND: what is installed as COMMAND does as the plain binary.
check() {
    "$2" convert testdata/tree | cmp - "$scratch/convert" || fail "$1: convert"
    "$2" list testdata/tree | cmp - "$scratch/list" || fail "$1: list"
    [ "$(code "$2" "${wrong[@]}")" = "$wrong_code" ] || fail "$1: the exit code of a failure"
    echo "ok: $1"
}

# complete NAME PREFIX: the manual, a completion and the licences are there.
complete() {
    local pattern
    for pattern in 'man1/codex-trace.1*' 'man1/codex-trace-convert.1*' 'bash-completion/completions/codex-trace' \
        'THIRD-PARTY-LICENSES.txt'; do
        [ -n "$(find "$2" -path "*/$pattern")" ] || fail "$1: has no $pattern"
    done
}

# In a session of its own, as with a terminal Ctrl-C reaches the binary without help; and with SIGINT, which shells
# take from what runs in the background.
alone='import os, signal, sys
os.setsid()
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])'

# interrupted SIGNAL COMMAND: the exit code of COMMAND, which waits for more input, after SIGNAL went to it alone.
interrupted() {
    local pid code=0
    mkfifo "$scratch/fifo"
    python3 -c "$alone" "$2" list --files-from - <"$scratch/fifo" >/dev/null 2>&1 &
    pid=$!
    exec 9>"$scratch/fifo"
    for _ in $(seq 100); do
        if reads_pipe "$pid"; then break; fi
        sleep 0.1
    done
    kill "-$1" "$pid"
    wait "$pid" || code=$?
    exec 9>&-
    rm "$scratch/fifo"
    echo "$code"
}

# reads_pipe PID: whether the binary, as the child of PID or as PID itself, waits for input.
reads_pipe() {
    local child
    child=$(tr -d ' ' <"/proc/$1/task/$1/children")
    [[ $(readlink "/proc/${child:-$1}/exe") == */codex-trace ]] && grep -qs pipe "/proc/${child:-$1}/wchan"
}

test_tarball() {
    mkdir "$scratch/tar"
    tar -xzf "$packages"/codex-trace-*.tar.gz -C "$scratch/tar" --strip-components=1
    check tarball "$scratch/tar/bin/codex-trace"
    complete tarball "$scratch/tar"
}

test_zip() {
    unzip -q "$packages"/codex-trace-*.zip -d "$scratch/zip"
    check zip "$scratch"/zip/codex-trace-*/bin/codex-trace.exe
    local name
    for name in codex-trace.ps1 LICENSE README.md CHANGELOG.md THIRD-PARTY-LICENSES.txt; do
        [ -s "$scratch"/zip/codex-trace-*/share/doc/codex-trace/$name ] || fail "zip: has no $name"
    done
}

test_deb() {
    dpkg -x "$packages"/codex-trace_*.deb "$scratch/deb"
    check deb "$scratch/deb/usr/bin/codex-trace"
    complete deb "$scratch/deb"
}

test_rpm() {
    mkdir "$scratch/rpm"
    rpm2cpio "$packages"/codex-trace-*.rpm | (cd "$scratch/rpm" && cpio --quiet -idm)
    check rpm "$scratch/rpm/usr/bin/codex-trace"
    complete rpm "$scratch/rpm"
    rpm -qp --requires "$packages"/codex-trace-*.rpm | grep -q 'libc.so.6(GLIBC_' || fail "rpm: names no C library"
}

test_wheel() {
    pip install --quiet --no-index --disable-pip-version-check --root-user-action ignore \
        --target "$scratch/wheel" "$packages"/codex_trace-*.whl
    check wheel "$scratch/wheel/bin/codex-trace"
    complete wheel "$scratch/wheel"
    local usage='import codex_trace; print(sum(row["total_tokens"] for row in codex_trace.usage("testdata/tree")))'
    [ "$(PYTHONPATH=$scratch/wheel python3 -c "$usage")" = \
        "$("$binary" usage testdata/tree --by total --format '{total_tokens}')" ] || fail "wheel: the package counts otherwise"
}

test_npm() {
    local command=$scratch/npm/node_modules/.bin/codex-trace signal plain libc=()
    mkdir "$scratch/npm"
    # What is for musl runs here, too, but npm leaves it out.
    if compgen -G "$packages/npm-*-musl-*.tgz" >/dev/null; then libc=(--libc=musl); fi
    (cd "$scratch/npm" && npm install --offline --silent --no-audit --no-fund --save-optional "${libc[@]}" \
        "$packages"/npm-*.tgz)
    check npm "$command"
    for signal in INT TERM; do
        plain=$(interrupted "$signal" "$binary")
        [ "$plain" -ge 128 ] || fail "SIG$signal does not show in the exit code"
        [ "$(interrupted "$signal" "$command")" = "$plain" ] || fail "npm: SIG$signal"
    done
    echo "ok: npm passes signals on"
}

# with COMMAND TEST FILES: runs TEST if there is COMMAND, and packages of such a name.
with() {
    if [ -z "$(find "$packages" -name "$3")" ]; then
        echo "skipped: $2, there is no $3"
    elif command -v "$1" >/dev/null; then
        "$2"
    else
        echo "skipped: $2, there is no $1"
    fi
}

(cd "$packages" && sha256sum --quiet --check SHA256SUMS-*) || fail "SHA256SUMS"
with tar test_tarball 'codex-trace-*.tar.gz'
with unzip test_zip '*.zip'
with dpkg test_deb '*.deb'
with rpm2cpio test_rpm '*.rpm'
with pip test_wheel "*_$(uname -m).whl"
with npm test_npm "npm-codex-trace-$(node -p 'process.platform + "-" + process.arch' || true)-*"
