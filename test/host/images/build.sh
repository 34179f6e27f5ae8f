#!/bin/bash
# build.sh DIR - makes the Debian systems that scripts build images on, as archives
# in DIR: nested (what pod needs, to run pod in a container), go, node, systemd.
# What was made once is kept beside the test host's files, for every checkout.
set -euo pipefail

target=$(realpath -m "${1:?usage: build.sh DIR}")
SELF=$(realpath "$0")
cd "${SELF%/*}"
PATH=$PATH:/usr/local/go/bin
SUITE=trixie
dir=${POD_TESTHOST_DIR:-/var/cache/pod-testhost}

# What is listed comes on top of what Debian calls essential.
readonly NESTED=(
    uidmap libcap2-bin busybox-static crun conmon passt slirp4netns fuse-overlayfs ca-certificates
)
readonly NODE=(npm)
readonly SYSTEMD=(systemd systemd-sysv dbus-broker busybox-static)

join() { local IFS=,; printf '%s' "$*"; }

debian() { # debian FILE PACKAGE...
    cd "$dir" # a checkout may go away meanwhile
    local file=$1
    shift
    # shellcheck disable=SC2016
    mmdebstrap --quiet --mode=root --variant=essential \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
        --aptopt='Acquire::Retries "3"' \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/* "$1"/usr/lib/*/perl-base "$1"/usr/lib/*/gconv "$1"/usr/share/zoneinfo "$1"/var/lib/dpkg/info' \
        --include="$(join "$@")" --format=tar "$SUITE" "$file" "$("${SELF%/*}/../testhost" mirror)" >&2
}

node() { # node FILE: npm without what Debian's depends on for other programs
    local exclude=() package
    for package in core-js core-js-pure @types @babel es-abstract lodash lodash-es caniuse-lite webpack eslint @webassemblyjs corepack; do
        exclude+=("--path-exclude=/usr/share/nodejs/$package/*")
    done
    debian "$1.all" "${NODE[@]}"
    mmtarfilter "${exclude[@]}" '--path-exclude=/usr/lib/python3*/*' '--path-exclude=/usr/bin/python3*' '--path-exclude=/usr/bin/perl*' \
        '--path-exclude=/usr/share/perl*/*' '--path-exclude=/usr/include/*' '--path-exclude=/usr/lib/*/*.a' <"$1.all" >"$1"
    rm "$1.all"
}

golang() { # golang FILE: the toolchain alone; it needs no system around it
    local root
    root=$(go env GOROOT)
    tar -C "$root/.." --transform 's,^go,usr/local/go,' --owner=0 --group=0 --exclude='*_test.go' --exclude=testdata \
        -cf "$1" go/bin go/pkg go/src go/VERSION go/go.env
}

make_one() { # make_one NAME FILE
    case $1 in
        nested) debian "$2" "${NESTED[@]}" ;;
        node) node "$2" ;;
        systemd) debian "$2" "${SYSTEMD[@]}" ;;
        go) golang "$2" ;;
    esac
}

mkdir -p "$dir/images" "$target"
exec {lock}>"$dir/images.lock"
flock "$lock"
key=$(sha256sum "$SELF" | cut -c1-12)
# The longest is last: what was made before it is there if it fails.
for name in nested go systemd node; do
    kept=$dir/images/$name-$key.tar
    if [[ ! -e $kept ]]; then
        rm -f "$dir/images/$name"-*.tar
        make_one "$name" "$kept.new.tar"
        mv "$kept.new.tar" "$kept"
    fi
    ln -f "$kept" "$target/$name.tar" 2>/dev/null || cp "$kept" "$target/$name.tar"
done
