#!/bin/bash
# sweep.sh - kills pod at system calls and looks at what follows.
#
# usage: test/sweep/sweep.sh [-n MAX] [-s SYSCALLS] [COMMAND...]
#
# For each command (run, run-d, create, rm, stop, exec, pull, load, rmi) and each
# system call that makes a state (renameat, unlinkat, mount, ...) pod is killed
# with SIGKILL at the first, second, ... such call, until it ends by itself or MAX
# (40) is reached. After each kill `pod ps`, a `pod run` and `pod rm -af` must
# work, and no process, mount, record, layer or file may be left. It needs strace,
# sqlite3 and pod in PATH, takes many minutes and is not part of `make test`.
#
# strace counts the calls of each thread by itself, so N does not name the same
# call twice: this is a sweep, not a replay. Run it as an ordinary user.
set -uo pipefail
MAX=40
CALLS="renameat unlinkat mount umount2 pwrite64 mkdirat fsync fdatasync symlinkat openat"
while getopts n:s: opt; do
    case $opt in
        n) MAX=$OPTARG ;;
        s) CALLS=${OPTARG//,/ } ;;
        *) sed -n 's/^# \(usage.*\)/\1/p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
COMMANDS=${*:-run run-d create rm stop exec load rmi}

BASE=$(mktemp -d /var/tmp/sweep.XXXXXX)
RUN=$(mktemp -d "${XDG_RUNTIME_DIR:-/tmp}/sw.XXXXXX")
export TMPDIR=$BASE/tmp
mkdir "$TMPDIR"
WORD=$(basename "$BASE") RWORD=$(basename "$RUN")
P=(pod --root "$BASE/root" --runroot "$RUN")
bad=0 kills=0

finish() {
    "${P[@]}" rm -afv -t 0 >/dev/null 2>&1
    # shellcheck disable=SC2016
    pod unshare sh -c 'umount -l "$1/root/overlay" 2>/dev/null; rm -rf "$1" "$2"' sh "$BASE" "$RUN"
    echo "$kills kills, $bad did harm"
    exit $((bad > 0))
}
trap finish EXIT INT TERM

# footprint lists everything of the store that is to be the same after as before.
footprint() {
    local f t
    for f in /proc/[0-9]*/cmdline; do
        { tr '\0' ' ' <"$f"; } 2>/dev/null | grep -E "^[^ ]*(conmon|crun|runc|pasta|pod) .*($WORD|$RWORD)" | grep -v strace | cut -c1-160
    done
    # shellcheck disable=SC2016
    pod unshare sh -c 'grep -E "$1|$2" /proc/self/mountinfo | cut -d" " -f5 | grep -v "/root/overlay$"
        cd "$3"; find root tmp "$4" \( -path "root/overlay/*/*/*" -o -path "*/merged/*" \) -prune -o -print
        ls "${XDG_RUNTIME_DIR:-/nowhere}/netns" 2>/dev/null | grep -Ff ids' sh "$WORD" "$RWORD" "$BASE" "$RUN" |
        grep -vE '\.lock$|/\.tmp-[a-z-]+\.json[0-9]+$|/state\.db|/run\.db|\.tmp$|/mountpoints\.json|/reserve$|/cache/|/seccomp|/tmp$|/\.pasta'
    for f in "$BASE/root/pod/state.db" "$RUN"/pod/*/run.db; do
        [[ -e $f ]] || continue
        for t in $(sqlite3 -cmd '.timeout 5000' "$f" "select name from sqlite_schema where type='table' and name<>'boot'"); do
            sqlite3 -cmd '.timeout 5000' "$f" "select '$t', * from $t" | cut -c1-200
        done
    done
}

# same waits for what ends a little later, then compares with $BASE/before.
same() {
    local end=$((SECONDS + 6))
    while ((SECONDS < end)); do
        footprint | sort >"$BASE/after"
        cmp -s "$BASE/before" "$BASE/after" && return 0
        sleep 0.1
    done
    diff "$BASE/before" "$BASE/after" | grep '^[<>]'
    return 1
}

alive() { [[ $("${P[@]}" run --rm --network none busybox echo alive 2>&1) == alive ]]; }

# The image: busybox in a docker archive, made with tar alone.
archive() {
    local d=$BASE/img
    mkdir -p "$d/fs/bin" "$d/fs/etc"
    cp /bin/busybox "$d/fs/bin/busybox"
    for a in sh echo sleep true; do ln -s busybox "$d/fs/bin/$a"; done
    echo "${1:-x}" >"$d/fs/etc/marker"
    tar -C "$d/fs" --owner=0 --group=0 -cf "$d/layer.tar" .
    local sum; sum=$(sha256sum <"$d/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$sum" >"$d/config.json"
    printf '[{"Config":"config.json","RepoTags":["localhost/%s:latest"],"Layers":["layer.tar"]}]' "$1" >"$d/manifest.json"
    tar -C "$d" -cf "$BASE/$1.tar" config.json manifest.json layer.tar
    rm -rf "$d"
}

prepare() {
    case $1 in
        rm) "${P[@]}" create -v /data --name c busybox true ;;
        stop | exec) "${P[@]}" run -d --name c busybox sleep 1000 ;;
        rmi) "${P[@]}" load -q -i "$BASE/other.tar" ;;
    esac >/dev/null
}
command_of() {
    case $1 in
        run) echo run --rm -v /data busybox true ;;
        run-d) echo run -d busybox sleep 1000 ;;
        create) echo create -v /data busybox true ;;
        rm) echo rm -v c ;;
        stop) echo stop -t 0 c ;;
        exec) echo exec c true ;;
        load) echo load -q -i "$BASE/other.tar" ;;
        rmi) echo rmi other ;;
    esac
}
after() {
    case $1 in
        load | rmi) "${P[@]}" load -q -i "$BASE/other.tar" && "${P[@]}" run --rm --network none other true && "${P[@]}" rmi -f other ;;
    esac >/dev/null
}

archive busybox
archive other
"${P[@]}" load -q -i "$BASE/busybox.tar" >/dev/null || exit 1
for c in $COMMANDS; do # once undisturbed: makes what stays
    read -ra args < <(command_of "$c")
    prepare "$c" && "${P[@]}" "${args[@]}" >/dev/null
    after "$c"
    "${P[@]}" rm -afv -t 0 >/dev/null
done
alive || exit 1
touch "$BASE/ids" "$BASE/before" "$BASE/after" "$BASE/out" "$BASE/said"
sleep 1
footprint | sort >"$BASE/before"

for c in $COMMANDS; do
    for call in $CALLS; do
        for n in $(seq "$MAX"); do
            prepare "$c"
            read -ra args < <(command_of "$c")
            { strace -qq -o /dev/null -f -b execve -e trace="$call" -e inject="$call:signal=KILL:when=$n" \
                "${P[@]}" "${args[@]}" >"$BASE/out" 2>&1; } 2>/dev/null
            code=$?
            kills=$((kills + 1))
            if ! {
                timeout 10 "${P[@]}" ps -aq --no-trunc >>"$BASE/ids" && after "$c" && alive && timeout 60 "${P[@]}" rm -afv -t 0 && same
            } >"$BASE/said" 2>&1; then
                bad=$((bad + 1))
                echo "HARM $c killed at $call $n (exit $code): $(tail -n 5 "$BASE/said" | cut -c1-400)"
                "${P[@]}" rm -afv -t 0 >/dev/null 2>&1
                footprint | sort >"$BASE/before"
            fi
            [[ $code == 137 ]] || break
        done
    done
done
