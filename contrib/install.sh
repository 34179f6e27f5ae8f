#!/bin/bash
# install.sh - puts pod below a prefix, and takes it away.
#
# usage: install.sh [--no-man] DESTDIR PREFIX
#        install.sh --uninstall DESTDIR PREFIX
#
# DESTDIR is put in front of every path, but is in no file. What was installed is listed
# in PREFIX/share/pod/installed: a later install removes what it does not have any more,
# and uninstall removes that and nothing else. systemd, sysctl and AppArmor read nothing
# below other prefixes than /usr and /usr/local, so there only the units of users are
# installed, where systemd finds them if the prefix is ~/.local.
set -euo pipefail
umask 022
unset CDPATH

man=1 uninstall=''
while [[ ${1:-} == --* ]]; do
    case $1 in
        --no-man) man='' ;;
        --uninstall) uninstall=1 ;;
        *) sed -n 's/^# \(usage.*\)/\1/p' "$0" >&2; exit 2 ;;
    esac
    shift
done
(($# == 2)) || { sed -n 's/^# \(usage.*\)/\1/p' "$0" >&2; exit 2; }
destdir=${1%/} prefix=${2%/}
say() { printf 'install: %s\n' "$*" >&2; }
[[ $prefix == /* ]] || { say "PREFIX must be an absolute path, not ${2:-empty}"; exit 2; }
[[ ! $destdir || $destdir == /* ]] || destdir=$PWD/$destdir
cd "$(dirname "$0")/.."
system=''
[[ $prefix != /usr && $prefix != /usr/local ]] || system=1

list=$prefix/share/pod/installed # paths without DESTDIR, directories end with /
stage=$(mktemp -d)
trap 'rm -rf "$stage" "$stage".*' EXIT

# ------------------------------------------------------------------ what there is

file() { # file MODE SOURCE PATH: PATH is below the prefix
    install -D -m "$1" "$2" "$stage$prefix/$3"
}

configured() { # configured MODE SOURCE PATH: with the paths of this prefix in it
    file "$1" "$2" "$3"
    sed -i "s,/usr/bin/pod,$prefix/bin/pod,g; s,/usr/libexec/pod,$prefix/libexec/pod,g" "$stage$prefix/$3"
}

completion() { # completion SHELL PATH
    mkdir -p "$(dirname "$stage$prefix/$2")"
    bin/pod completion "$1" >"$stage$prefix/$2"
}

units() { # units KIND DIRECTORY
    local unit
    for unit in contrib/systemd/"$1"/*; do
        configured 0644 "$unit" "$2/${unit##*/}"
    done
}

stage_all() {
    local page example
    file 0755 bin/pod bin/pod
    local helper
    for helper in bin/libexec/*; do # pod does without, and takes longer
        [[ ! -f $helper ]] || file 0755 "$helper" "libexec/pod/${helper##*/}"
    done
    file 0755 contrib/libexec/wait-network-online libexec/pod/wait-network-online
    completion bash share/bash-completion/completions/pod
    completion zsh share/zsh/site-functions/_pod
    completion fish share/fish/vendor_completions.d/pod.fish
    for example in contrib/examples/*; do
        file 0644 "$example" "share/doc/pod/examples/${example##*/}"
    done
    if [[ $man ]]; then
        for page in bin/man/man?/*; do
            file 0644 "$page" "share/man/${page#bin/man/}"
        done
    fi
    if [[ ! $system ]]; then
        units user share/systemd/user
        return
    fi
    # systemd asks the generators for the units of Quadlet files; pod knows by the name
    # it is called by.
    local kind
    for kind in user system; do
        units "$kind" "lib/systemd/$kind"
        mkdir -p "$stage$prefix/lib/systemd/$kind-generators"
        ln -s ../../../bin/pod "$stage$prefix/lib/systemd/$kind-generators/pod-$kind-generator"
    done
    file 0644 contrib/sysctl.d/00-pod.conf lib/sysctl.d/00-pod.conf
    configured 0644 contrib/apparmor.d/pod share/pod/apparmor.d/pod
    # An older AppArmor cannot read the profile, and would refuse all of the directory.
    if [[ ! $destdir && -e /etc/apparmor.d/abi/4.0 && (! -e /etc/apparmor.d/pod || -L /etc/apparmor.d/pod) ]]; then
        mkdir -p "$stage/etc/apparmor.d"
        ln -s "$prefix/share/pod/apparmor.d/pod" "$stage/etc/apparmor.d/pod"
        say "load the AppArmor profile with: apparmor_parser -r /etc/apparmor.d/pod"
    fi
}

# ---------------------------------------------------------------- in and out

# remove removes paths of the list: files first, then directories that are empty.
remove() {
    local path dirs=()
    while IFS= read -r path; do
        case $path in
            */) dirs+=("$destdir$path") ;;
            /*) rm -f "$destdir$path" ;;
        esac
    done
    ((${#dirs[@]})) || return 0
    printf '%s\n' "${dirs[@]}" | sort -r | while IFS= read -r path; do
        rmdir "$path" 2>/dev/null || true # others have files there
    done
}

place() {
    local path old=$stage.old new=$stage.list
    cat "$destdir$list" >"$old" 2>/dev/null || : >"$old"
    # Directories that are made now are ours, and those that were made before.
    (cd "$stage" && find . -mindepth 1 -type d -printf '/%P/\n' | sort) | while IFS= read -r path; do
        if [[ ! -d $destdir$path ]]; then
            mkdir -p "$destdir$path"
        elif ! grep -qxF "$path" "$old"; then
            continue
        fi
        printf '%s\n' "$path"
    done >"$new"
    (cd "$stage" && find . ! -type d -printf '/%P\n' | sort) >>"$new"
    printf '%s\n' "$list" >>"$new"
    # A running pod keeps its old file: the new one takes its name, not its content.
    mv "$stage$prefix/bin/pod" "$stage.pod"
    cp -dR --remove-destination "$stage/." "$destdir/"
    install -m 0755 "$stage.pod" "$destdir$prefix/bin/.pod.new"
    mv -f "$destdir$prefix/bin/.pod.new" "$destdir$prefix/bin/pod"
    grep -vxFf "$new" "$old" | remove || true
    install -m 0644 "$new" "$destdir$list"
}

if [[ $uninstall ]]; then
    [[ -e $destdir$list ]] || { say "nothing of pod is installed below $destdir$prefix: there is no $destdir$list"; exit 1; }
    cp "$destdir$list" "$stage/list"
    remove <"$stage/list"
    exit
fi
stage_all
mkdir -p "$stage$prefix/share/pod"
place
