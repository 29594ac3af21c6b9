#!/usr/bin/env bash
# Makes all packages of one platform from a stripped binary and an extension module:
#
#   packaging/pack.sh BINARY EXTENSION OUTDIR [TARGET NATIVE]
#
# BINARY is what cargo builds of `converter-cli`, EXTENSION (lib_core.so) what it builds of `codex-trace-python`; `-`
# for none, then there is no wheel. TARGET is what they were built for, if that is not this machine: then NATIVE is the
# same program for this machine, which writes the manual and the completions.
#
# For musl and for Windows there are an archive (Windows: a zip file) and the packages for npm alone.
#
# Needs cargo (with the sources of the dependencies fetched), python3, tar, gzip and readelf; dpkg-deb for the Debian
# package, rpmbuild for the RPM. CODEX_TRACE_RELEASES is the address below which releases can be downloaded, for the
# Homebrew formula. CODEX_TRACE_NPM lists the platforms of a release, as npm calls them (`linux-x64 linux-x64-musl`),
# if it has others than this one. The same binary and commit give the same bytes.
set -euo pipefail

binary=$(realpath "$1")
extension=$2
[ "$extension" = - ] || extension=$(realpath "$extension")
mkdir -p "$3"
out=$(realpath "$3")
if [ -n "$(ls -A "$out")" ]; then
    echo "pack.sh: $out is not empty" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
umask 022

target=${4:-$(rustc -vV | sed -n 's/^host: //p')}
native=$(realpath "${5:-$binary}")
version=$("$native" --version | cut -d' ' -f2)
about="Turns the transcripts of Codex CLI into traces"
name=codex-trace-$version-$target
program=codex-trace archive=tarball npm_os=linux
case $target in
    x86_64-unknown-linux-gnu) npm=linux-x64 npm_cpu=x64 npm_libc=glibc deb_arch=amd64 brew_arch=x86_64 machine=x86_64 ;;
    aarch64-unknown-linux-gnu) npm=linux-arm64 npm_cpu=arm64 npm_libc=glibc deb_arch=arm64 brew_arch=arm64 machine=aarch64 ;;
    x86_64-unknown-linux-musl) npm=linux-x64-musl npm_cpu=x64 npm_libc=musl ;;
    x86_64-pc-windows-gnu) npm=win32-x64 npm_cpu=x64 npm_os=win32 npm_libc='' program=codex-trace.exe archive=zip ;;
    *) echo "pack.sh: no packages for $target yet" >&2; exit 2 ;;
esac
needs=
if [ "${npm_libc}" = glibc ]; then
    # The oldest C library that has every symbol that the binaries ask for.
    linked=("$binary")
    [ "$extension" = - ] || linked+=("$extension")
    glibc=$(readelf --wide --dyn-syms "${linked[@]}" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -1)
    needs=", glibc $glibc or later"
fi

# tarball NAME DIR ENTRY: ENTRY of DIR as OUT/NAME, with nothing of this machine in it.
tarball() {
    tar -C "$2" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$3" |
        gzip -9n >"$out/$1"
}

# What every package contains: `files/` is laid out as below a prefix.
files=$stage/files
docs=$files/share/doc/codex-trace
mkdir -p "$files/bin" "$docs"
install -m 755 "$binary" "$files/bin/$program"
if [ "$npm_os" = win32 ]; then
    "$native" completions powershell >"$docs/codex-trace.ps1"
else
    mkdir -p "$files"/share/{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
    "$native" man "$files/share/man/man1"
    "$native" completions bash >"$files/share/bash-completion/completions/codex-trace"
    "$native" completions zsh >"$files/share/zsh/site-functions/_codex-trace"
    "$native" completions fish >"$files/share/fish/vendor_completions.d/codex-trace.fish"
fi
install -m 644 "$root/LICENSE" "$root/README.md" "$root/CHANGELOG.md" "$docs"
python3 "$here/inventory.py" "$root" "$target" "$docs/THIRD-PARTY-LICENSES.txt" "$out/$name.cdx.json"

pack_tarball() {
    cp -r "$files" "$stage/$name"
    tarball "$name.tar.gz" "$stage" "$name"
}

pack_zip() {
    cp -r "$files" "$stage/$name"
    python3 "$here/archive.py" "$stage" "$name" "$out/$name.zip"
}

pack_npm() {
    local platform=codex-trace-$npm dir one all=
    local common="\"version\": \"$version\", \"description\": \"$about\", \"license\": \"Apache-2.0\""
    dir=$stage/npm-platform/package
    mkdir -p "$dir/bin"
    cp "$files/bin/$program" "$dir/bin"
    cp "$docs"/{LICENSE,THIRD-PARTY-LICENSES.txt} "$dir"
    cat >"$dir/package.json" <<EOF
{"name": "$platform", $common, "os": ["$npm_os"], ${npm_libc:+"\"libc\": [\"$npm_libc\"], "}"cpu": ["$npm_cpu"],
 "preferUnplugged": true}
EOF
    tarball "npm-$platform-$version.tgz" "$stage/npm-platform" package

    for one in ${CODEX_TRACE_NPM:-$npm}; do
        all+=", \"codex-trace-$one\": \"$version\""
    done
    dir=$stage/npm/package
    mkdir -p "$dir"
    cp "$here/npm/codex-trace.js" "$docs"/{LICENSE,README.md} "$dir"
    chmod 755 "$dir/codex-trace.js"
    cat >"$dir/package.json" <<EOF
{"name": "codex-trace", $common, "bin": {"codex-trace": "codex-trace.js"}, "engines": {"node": ">=16"},
 "optionalDependencies": {${all#, }}}
EOF
    tarball "npm-codex-trace-$version.tgz" "$stage/npm" package
}

pack_wheel() {
    if [ "$extension" = - ]; then
        echo "pack.sh: no extension module, so no wheel" >&2
        return
    fi
    python3 "$here/wheel.py" "$files" "$root/python/codex_trace" "$extension" "$version" "manylinux_${glibc/./_}_$machine" "$about" "$out"
}

pack_deb() {
    if ! command -v dpkg-deb >/dev/null; then
        echo "pack.sh: no dpkg-deb, so no Debian package" >&2
        return
    fi
    local dir=$stage/deb
    mkdir -p "$dir/DEBIAN"
    cp -r "$files" "$dir/usr"
    # Debian looks elsewhere for zsh, and wants manuals compressed and licences by this name.
    mv "$dir/usr/share/zsh/site-functions" "$dir/usr/share/zsh/vendor-completions"
    mv "$dir/usr/share/doc/codex-trace/LICENSE" "$dir/usr/share/doc/codex-trace/copyright"
    gzip -9n "$dir"/usr/share/man/man1/*.1
    cat >"$dir/DEBIAN/control" <<EOF
Package: codex-trace
Version: $version
Architecture: $deb_arch
Maintainer: ${CODEX_TRACE_MAINTAINER:-The developers of codex-trace}
Installed-Size: $(du -sk "$dir/usr" | cut -f1)
Depends: libc6 (>= $glibc), libgcc-s1
Recommends: ca-certificates
Section: utils
Priority: optional
Description: $about
 Reads the rollout files of OpenAI's Codex CLI, shows sessions and what they
 cost, and converts or uploads them to tracing backends.
EOF
    dpkg-deb --root-owner-group -Zxz --build "$dir" "$out/codex-trace_${version}_$deb_arch.deb" >/dev/null
}

pack_rpm() {
    if ! command -v rpmbuild >/dev/null; then
        echo "pack.sh: no rpmbuild, so no RPM" >&2
        return
    fi
    cat >"$stage/codex-trace.spec" <<EOF
Name: codex-trace
Version: $version
Release: 1
Summary: $about
License: Apache-2.0
AutoReqProv: no
Requires: libc.so.6(GLIBC_$glibc)(64bit), libgcc_s.so.1()(64bit)
Recommends: ca-certificates

%description
Reads the rollout files of OpenAI's Codex CLI, shows sessions and what they
cost, and converts or uploads them to tracing backends.

%install
mkdir -p %{buildroot}/usr
cp -r $files/. %{buildroot}/usr
gzip -9n %{buildroot}/usr/share/man/man1/*.1

%files
/usr/bin/codex-trace
/usr/share/man/man1/*
/usr/share/bash-completion/completions/codex-trace
/usr/share/zsh/site-functions/_codex-trace
/usr/share/fish/vendor_completions.d/codex-trace.fish
/usr/share/doc/codex-trace
EOF
    # The binary is stripped already, and nothing of this machine goes in.
    rpmbuild -bb --quiet --target "$machine" --define "_topdir $stage/rpm" --define "_rpmdir $stage/rpm" --define '_buildhost localhost' \
        --define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' --define '__os_install_post %{nil}' \
        --define 'debug_package %{nil}' --define '_build_id_links none' --define '_binary_payload w9.gzdio' \
        --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
        --define 'build_mtime_policy clamp_to_source_date_epoch' "$stage/codex-trace.spec"
    mv "$stage"/rpm/*.rpm "$out"
}

pack_formula() {
    if [ -z "${CODEX_TRACE_RELEASES:-}" ]; then
        echo "pack.sh: CODEX_TRACE_RELEASES is not set, so no Homebrew formula" >&2
        return
    fi
    sed -e "s|@ABOUT@|$about|" -e "s|@URL@|$CODEX_TRACE_RELEASES/v$version/$name.tar.gz|" -e "s|@ARCH@|$brew_arch|" \
        -e "s|@SHA256@|$(sha256sum "$out/$name.tar.gz" | cut -d' ' -f1)|" "$here/codex-trace.rb.in" >"$out/codex-trace.rb"
}

"pack_$archive"
pack_npm
# Systems with musl have other packages, and the wheel has an extension module.
if [ "$npm_libc" = glibc ]; then
    pack_wheel
    pack_deb
    pack_rpm
    pack_formula
fi
cd "$out"
find . -maxdepth 1 -type f -printf '%f\n' | sort | xargs sha256sum >"$stage/SHA256SUMS"
mv "$stage/SHA256SUMS" "SHA256SUMS-$target"
echo "codex-trace $version for $target$needs"
