#!/usr/bin/env bash
# Builds the command for another platform, with zig as its C compiler and linker:
#
#   packaging/cross.sh TARGET [ARGUMENT-OF-CARGO…]
#   packaging/cross.sh --check [TARGET]
#
# `--check` checks it for TARGET, or for every target that the toolchain has a standard library of, and builds nothing
# but what is written in C.
#
# Needs `cargo-zigbuild` and `ziglang` (both on PyPI). The toolchain needs the standard library of TARGET (`rustup
# target add TARGET`) or its sources (`rustup component add rust-src`, or Debian's `rust-src`): from these it is built
# as well. What is built lies in `target/TARGET`; on Linux it is for glibc 2.17 and later. docs/install.md says which
# targets were tried.
set -euo pipefail

cd "$(dirname "$0")/.."
rustc=${RUSTC:-rustc}
host=$("$rustc" -vV | sed -n 's/^host: //p')
libraries=$("$rustc" --print sysroot)/lib/rustlib

# Sets what cargo is told for a target.
with=()
tell() {
    with=(--locked -p converter-cli)
    if [ ! -d "$libraries/$1/lib" ]; then
        # Not stable yet, and so asked for in this way; the sources are those of the same version.
        export RUSTC_BOOTSTRAP=1
        with+=(-Zbuild-std=std,panic_unwind)
    fi
}

check() {
    tell "$1"
    echo "cross.sh: $1"
    cargo-zigbuild check "${with[@]}" --target "$1"
}

check_all() {
    local target found=
    if ! command -v cargo-zigbuild >/dev/null; then
        echo "cross.sh: skipped, there is no cargo-zigbuild"
        return
    fi
    for target in "$libraries"/*/lib; do
        target=$(basename "$(dirname "$target")")
        if [ "$target" != "$host" ]; then
            found=1
            check "$target"
        fi
    done
    [ -n "$found" ] || echo "cross.sh: skipped, there is no standard library but that of $host"
}

# Debian's compiler asks for a library of GCC that guards the stack, which zig does without. Prints where one lies that
# is empty.
no_ssp() {
    local dir=${CARGO_TARGET_DIR:-$PWD/target}/$1/no-ssp library
    mkdir -p "$dir"
    for library in ssp ssp_nonshared; do
        printf '!<arch>\n' >"$dir/lib$library.a"
    done
    echo "$dir"
}

build() {
    local target=$1 named=$1
    shift
    tell "$target"
    case $target in
        *-linux-gnu) named=$target.2.17 ;;
    esac
    # Those of every platform: pack.sh asks about them without network.
    cargo fetch --locked
    local program=(--target "$named" "$@" --bin codex-trace --)
    case $target in
        # A library from sources does not bring the start files of musl: zig has its own.
        *-musl) cargo-zigbuild rustc "${with[@]}" "${program[@]}" -C link-self-contained=no ;;
        *-windows-gnu) cargo-zigbuild rustc "${with[@]}" "${program[@]}" -L "native=$(no_ssp "$target")" ;;
        *) cargo-zigbuild zigbuild "${with[@]}" --target "$named" "$@" ;;
    esac
}

case ${1:-} in
    --check) if [ -n "${2:-}" ]; then check "$2"; else check_all; fi ;;
    "" | -*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) build "$@" ;;
esac
