#!/bin/bash
# quickstart.sh - from a checkout to a running container.
#
# Installs what is missing, builds pod, and runs `pod run --rm hello` as an
# ordinary user: you, or, when you are root, the user poddemo, whom it makes.
# hello is an image within the binary, so no registry is asked. Whatever it
# changes on this machine it says in a line of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

DEMO=poddemo

say() { printf 'quickstart: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# first_free FILE prints the start of 65536 ids that no line of FILE has.
first_free() {
    awk -F: 'BEGIN { free = 100000 } $2 + $3 > free { free = $2 + $3 } END { printf "%d", free }' "$1"
}

has_range() { # has_range FILE: is there a range for the demo user?
    local uid
    uid=$(id -u "$DEMO")
    grep -qsE "^($DEMO|$uid):" "$1"
}

make_user() {
    if ! id "$DEMO" >/dev/null 2>&1; then
        useradd --create-home --shell /bin/bash "$DEMO"
        say "made the user $DEMO (userdel -r $DEMO takes it away)"
    fi
    touch /etc/subuid /etc/subgid
    local start
    if ! has_range /etc/subuid; then
        start=$(first_free /etc/subuid)
        usermod --add-subuids "$start-$((start + 65535))" "$DEMO"
        say "gave $DEMO the user ids $start to $((start + 65535)) in /etc/subuid"
    fi
    if ! has_range /etc/subgid; then
        start=$(first_free /etc/subgid)
        usermod --add-subgids "$start-$((start + 65535))" "$DEMO"
        say "gave $DEMO the group ids $start to $((start + 65535)) in /etc/subgid"
    fi
}

# newuidmap needs its privilege, which unpacking a machine image may lose.
repair_idmap() {
    local tool path
    for tool in newuidmap newgidmap; do
        path=$(command -v "$tool") || die "$tool is missing; install the package uidmap"
        [[ ! -u $path ]] || continue
        if command -v getcap >/dev/null && [[ $(getcap "$path") == *cap_set?id* ]]; then
            continue
        fi
        chmod u+s "$path"
        say "set the setuid bit of $path, as its package has it"
    done
}

# udev gives these to everybody; a machine without it may not.
open_devices() {
    local device
    for device in /dev/net/tun /dev/fuse; do
        if [[ ! -e $device ]]; then
            say "there is no $device here"
        elif [[ $(stat -c %a "$device") != 666 ]]; then
            chmod 0666 "$device"
            say "opened $device to all users (chmod 0666), as udev does"
        fi
    done
}

as_demo() { # as_demo CMD... runs it as after a bare login, without a session
    local home
    home=$(getent passwd "$DEMO" | cut -d: -f6)
    (cd "$home" && runuser -u "$DEMO" -- env -i HOME="$home" USER="$DEMO" LOGNAME="$DEMO" \
        SHELL=/bin/bash LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        PATH="$home/.local/bin:/usr/local/bin:/usr/bin:/bin" "$@")
}

install_for_demo() {
    # Written by the user: root writes nothing into directories of others.
    # shellcheck disable=SC2016
    as_demo sh -ec 'umask 022; mkdir -p "$HOME/.local/bin"; cd "$HOME/.local/bin"
        cat >pod.new; chmod 0755 pod.new; mv -f pod.new pod' <bin/pod
    say "put pod into $(getent passwd "$DEMO" | cut -d: -f6)/.local/bin"
}

contrib/deps.sh build run
make --no-print-directory build

if ((EUID == 0)); then
    make_user
    repair_idmap
    open_devices
    install_for_demo
    say "running as $DEMO: pod run --rm hello"
    as_demo pod run --rm hello
    say "go on as that user: runuser -l $DEMO, then PATH=~/.local/bin:\$PATH"
else
    network=()
    if [[ ! -w /dev/net/tun ]]; then
        say "/dev/net/tun is closed to you, so this container gets no network; as root: chmod 0666 /dev/net/tun"
        network=(--network none)
    fi
    say "running: bin/pod run --rm ${network[*]:+${network[*]} }hello"
    bin/pod run --rm "${network[@]}" hello
    say "make install PREFIX=~/.local puts pod where your shell may find it"
fi
