#!/bin/bash
# trio.sh DIR - makes the archive trio.tar in DIR, a Debian system with what a small
# web application is made of: nginx, PostgreSQL, busybox. Scripts run a container of
# each. What was made once is kept beside the test host's files, for every checkout.
set -euo pipefail

target=$(realpath -m "${1:?usage: trio.sh DIR}")
SELF=$(realpath "$0")
dir=${POD_TESTHOST_DIR:-/var/cache/pod-testhost}
kept=$dir/images/trio-$(sha256sum "$SELF" | cut -c1-12).tar

mkdir -p "$dir/images" "$target"
exec {lock}>"$dir/images-trio.lock"
flock "$lock"
if [[ ! -e $kept ]]; then
    rm -f "$dir"/images/trio-*.tar
    cd "$dir"
    # Without the compiler of expressions (LLVM, 130 MB), manuals and translations.
    # shellcheck disable=SC2016
    mmdebstrap --quiet --mode=root --variant=essential \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
        --dpkgopt='path-exclude=/usr/lib/*/libLLVM*' \
        --dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/bitcode/*' --dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/llvmjit*' \
        --aptopt='Acquire::Retries "3"' --aptopt='APT::Install-Recommends "false"' \
        --essential-hook='mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/* "$1"/usr/lib/*/gconv "$1"/usr/lib/*/libLLVM* "$1"/usr/share/postgresql/*/man "$1"/usr/share/zoneinfo "$1"/var/lib/dpkg/info; mkdir -p "$1"/var/log/nginx' \
        --include=nginx-light,postgresql,busybox-static --format=tar trixie "$kept.new.tar" "$("${SELF%/*}/../testhost" mirror)" >&2
    mv "$kept.new.tar" "$kept"
fi
ln -f "$kept" "$target/trio.tar" 2>/dev/null || cp "$kept" "$target/trio.tar"
