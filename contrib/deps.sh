#!/bin/bash
# deps.sh - installs from the distribution what is missing here.
#
# usage: deps.sh [build|run|test|lint|qemu]...
#
# None named means all but lint and qemu (for test/host/vmhost --engine qemu).
#
# What is there already is left alone: when nothing is missing, apt is not
# called at all. Names are those of Debian 12, Debian 13 and Ubuntu 24.04,
# which agree on all of them. Go itself comes from go.dev, because no
# distribution has the release that go.mod asks for.
set -euo pipefail

PATH=$PATH:/usr/local/go/bin:/usr/local/sbin:/usr/sbin:/sbin
missing=()

say() { printf 'deps: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# command_of PACKAGE NAME... wants one of the commands.
command_of() {
    local package=$1 name
    shift
    for name; do
        ! command -v "$name" >/dev/null || return 0
    done
    missing+=("$package")
}

# file_of PACKAGE GLOB... wants a file that matches one of them.
file_of() {
    local package=$1 glob
    shift
    for glob; do
        ! compgen -G "$glob" >/dev/null || return 0
    done
    missing+=("$package")
}

check_go() {
    local want have
    want=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' "$(dirname "$0")/../go.mod")
    command -v go >/dev/null ||
        die "Go $want or newer is missing; get it from https://go.dev/dl/ and put its bin directory into PATH"
    # Outside the module, or an older go would try to fetch the newer one.
    have=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
    have=${have#go}
    [[ $(printf '%s\n' "$want" "$have" | sort -V | sed -n 1p) == "$want" ]] ||
        die "Go $want or newer is needed, $have is installed; see https://go.dev/dl/"
}

want_build() {
    command_of gcc gcc
    command_of make make
    command_of pkg-config pkg-config
    file_of libc6-dev '/usr/lib/*/libc.a'
    file_of libseccomp-dev /usr/include/seccomp.h
}

want_run() {
    command_of crun crun runc
    command_of conmon conmon
    command_of uidmap newuidmap
    command_of passt pasta
    command_of slirp4netns slirp4netns
    command_of fuse-overlayfs fuse-overlayfs
    command_of nftables nft
    file_of catatonit /usr/bin/catatonit '/usr/lib*/podman/catatonit' /usr/libexec/podman/catatonit
    file_of netavark /usr/lib/podman/netavark /usr/libexec/podman/netavark
    file_of aardvark-dns /usr/lib/podman/aardvark-dns /usr/libexec/podman/aardvark-dns
    file_of ca-certificates /etc/ssl/certs/ca-certificates.crt
}

want_test() {
    file_of busybox-static /bin/busybox /usr/bin/busybox
    command_of git git
    command_of jq jq
    command_of mmdebstrap mmdebstrap
    command_of systemd-container systemd-nspawn
    command_of util-linux nsenter
    command_of openssh-client ssh
    command_of e2fsprogs mke2fs
    command_of iproute2 ip
    [[ $(uname -m) != x86_64 ]] || command_of user-mode-linux linux.uml
    file_of debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg
}

want_lint() {
    command_of shellcheck shellcheck
}

want_qemu() {
    command_of qemu-system-x86 qemu-system-x86_64
    command_of cpio cpio
    command_of xz-utils xz
}

install_missing() {
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null ||
        die "no apt-get here; please install what your distribution calls: ${missing[*]}"
    local sudo=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "neither root nor sudo; please install: ${missing[*]}"
        sudo=(sudo)
    fi
    say "installing ${missing[*]}"
    local get=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends
        -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
    # Fresh machines have no package lists, or lists older than the mirror.
    "${get[@]}" install "${missing[@]}" >&2 || {
        say "refreshing the package lists"
        "${get[@]}" update >&2
        "${get[@]}" install "${missing[@]}" >&2
    } || die "apt-get could not install: ${missing[*]}"
}

(($#)) || set -- build run test
for what; do
    case $what in
        build) want_build ;;
        run) want_run ;;
        test) want_test ;;
        lint) want_lint ;;
        qemu) want_qemu ;;
        *) die "unknown part $what; use build, run, test, lint or qemu" ;;
    esac
done
install_missing
[[ " $* " != *" build "* ]] || check_go
