#!/bin/bash
# soak.sh - what grows, and what gives way, when pod is used for long.
#
# usage: soak.sh exec [N]                      N execs, and N times attach and detach (10000)
#        soak.sh mixed [SECONDS [CONTAINERS]]  16 commands at a time on 200 containers (600)
#
# It works in a store of its own, on an image of the host's static busybox, prints
# what it saw, and fails when something grew, was lost, or hung. `make soak` runs
# it in the test host.
set -euo pipefail

WORKERS=${WORKERS:-16}
dir=$(mktemp -d /var/tmp/soak.XXXXXX)
run=$(mktemp -d "${XDG_RUNTIME_DIR:-/tmp}/soak.XXXXXX")
P=(pod --root "$dir/root" --runroot "$run")
finish() {
    "${P[@]}" rm -af -t 0 >/dev/null 2>&1
    "${P[@]}" system reset -f >/dev/null 2>&1
    pod unshare rm -rf "$dir" "$run"
}
trap finish EXIT
trap show ERR
set -E

# show says what became of the container that all is about.
show() {
    printf 'soak: after %d rounds\n' "${i:-0}" >&2
    "${P[@]}" inspect --format '{{json .State}}' soak-exec >&2 || true
    "${P[@]}" logs soak-exec 2>&1 | tail -n 5 >&2 || true
    "${P[@]}" events --since 10s --until 0s 2>&1 | tail -n 20 >&2 || true
}

die() { printf 'soak: %s\n' "$*" >&2; exit 1; }

# size NAME prints what a container's monitor and pod's records hold.
size() {
    local monitor
    monitor=$("${P[@]}" inspect --format '{{.State.ConmonPid}}' "$1")
    printf 'descriptors %d files %d rows %d\n' \
        "$(find "/proc/$monitor/fd" -mindepth 1 | wc -l)" \
        "$(find "$run/pod" -mindepth 1 | wc -l)" \
        "$(for db in "$run"/pod/*/run.db; do
            sqlite3 "$db" 'SELECT count(*) FROM runs UNION ALL SELECT count(*) FROM execs UNION ALL SELECT count(*) FROM containers'
        done | awk '{ n += $1 } END { print n }')"
}

# settle makes the container print something: conmon closes its end of an attach
# that has left when it next writes to it.
settle() {
    printf '\n\x10\x11' | "${P[@]}" attach soak-exec >/dev/null
    printf '\n\x10\x11' | "${P[@]}" attach soak-exec >/dev/null
}

soak_exec() { # soak_exec N
    local n=$1 before after i started=$SECONDS
    "${P[@]}" run -dit --name soak-exec "$IMAGE" sh >/dev/null
    "${P[@]}" exec soak-exec true
    settle
    before=$(size soak-exec)
    for ((i = 0; i < n; i++)); do
        "${P[@]}" exec soak-exec true
        printf '\x10\x11' | "${P[@]}" attach soak-exec >/dev/null
        ((i % 500 < 499)) || settle # a monitor may have 1024 descriptors
    done
    settle
    after=$(size soak-exec)
    printf 'exec: %d execs and attaches in %d s\nbefore %s\nafter  %s\n' "$n" $((SECONDS - started)) "$before" "$after"
    [[ $before == "$after" ]] || die "something grew"
    "${P[@]}" rm -f -t 0 soak-exec >/dev/null
}

# What a race that a user could lose too may say.
readonly LEGIT='no such (container|object)|is in use|already in use|state improper|can only (kill|create exec)|is not running|was removed|no such exec|ended before|container .* is gone'

# worker N draws one command after the other until END.
worker() {
    local r=$1 c code begun count=0 said="$dir/err.$1"
    while (($(date +%s) < END)); do
        r=$(((r * 1103515245 + 12345) % 2147483648))
        c=soak-$((r / 65536 % CONTAINERS))
        case $((r / 1024 % 12)) in
            0) set -- run -d --name "$c" --network none "$IMAGE" sleep 100000 ;;
            1 | 2) set -- exec "$c" echo in ;;
            3) set -- stop -t 0 "$c" ;;
            4) set -- rm -f -t 0 "$c" ;;
            5 | 6) set -- start "$c" ;;
            7) set -- run --rm --network none "$IMAGE" true ;;
            8) set -- restart -t 0 "$c" ;;
            9) set -- cp "$c:/etc" - ;;
            10) set -- update --restart no "$c" ;;
            11) set -- inspect "$c" ;;
        esac
        begun=$SECONDS code=0
        timeout 60 "${P[@]}" "$@" >/dev/null 2>"$said" || code=$?
        count=$((count + 1))
        if ((code == 124)); then
            echo "hung: $* (since $((SECONDS - begun)) s)"
        elif ((code != 0)) && ! [[ $1 == exec && $code == 137 ]]; then
            grep -qE "$LEGIT" "$said" || echo "$*: $code: $(cat "$said")"
        fi
    done
    echo "$count" >"$dir/count.${said##*.}"
}

# watch measures ps until END: one line a call, in milliseconds.
watch() {
    local begun
    while (($(date +%s) < END)); do
        begun=$(date +%s%N)
        "${P[@]}" ps -a >/dev/null || echo "ps failed" >>"$dir/said.ps"
        echo $((($(date +%s%N) - begun) / 1000000)) >>"$dir/ps"
        sleep 0.2
    done
}

soak_mixed() { # soak_mixed SECONDS CONTAINERS
    local i lost
    CONTAINERS=$2
    for ((i = 0; i < CONTAINERS; i++)); do
        "${P[@]}" create --name "soak-$i" --network none "$IMAGE" sleep 100000 >/dev/null
    done
    "${P[@]}" start --all >/dev/null
    printf '%d containers run, load %s\n' "$("${P[@]}" ps -q | wc -l)" "$(cut -d' ' -f1 /proc/loadavg)"
    END=$(($(date +%s) + $1))
    watch &
    for ((i = 1; i <= WORKERS; i++)); do
        worker $((i * 7919)) >"$dir/said.$i" 2>&1 &
    done
    wait
    sort -n "$dir/ps" | awk '{ v[NR] = $1 } END { printf "ps: %d calls, p50 %d ms, p99 %d ms, longest %d ms\n", NR, v[int((NR + 1) / 2)], v[int(NR * 0.99)], v[NR] }'
    printf '%d commands, load %s\n' "$(cat "$dir"/count.* | awk '{ n += $1 } END { print n }')" "$(cut -d' ' -f1 /proc/loadavg)"
    # The truth: who is said to run does, and who is not has no process.
    lost=$(for c in $("${P[@]}" ps --format '{{.Names}}'); do
        "${P[@]}" exec "$c" true || echo "$c runs and cannot be entered"
    done 2>&1)
    "${P[@]}" rm -af -t 0 >/dev/null
    [[ -z $("${P[@]}" ps -aq) ]] || die "containers are left"
    lost+=$(cat "$dir"/said.*)
    [[ -z $lost ]] || die "$lost"
}

mkdir -p "$dir/tree/bin" "$dir/tree/etc"
cp /bin/busybox "$dir/tree/bin/"
for name in sh sleep true echo; do
    ln -s busybox "$dir/tree/bin/$name"
done
tar -C "$dir/tree" -cf "$dir/tree.tar" bin etc
IMAGE=$("${P[@]}" import -q "$dir/tree.tar" localhost/soak)
case ${1:-} in
    exec) soak_exec "${2:-10000}" ;;
    mixed) soak_mixed "${2:-600}" "${3:-200}" ;;
    *) sed -n 's/^# \(usage.*\)/\1/p' "$0" >&2; exit 2 ;;
esac
