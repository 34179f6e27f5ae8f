#!/bin/bash
# changelog.sh VERSION MAINTAINER <CHANGELOG.md - writes a Debian changelog.
#
# "## Unreleased" is VERSION, of the time SOURCE_DATE_EPOCH; "## 1.2.3 - 2027-01-31" is
# what it says.
set -euo pipefail

version=$1 maintainer=$2
now=$(date -R -u -d "@$SOURCE_DATE_EPOCH")
item='' stamp=''

flush() { # the item that was read, wrapped
    [[ $item ]] || return 0
    fold -s -w 74 <<<"$item" | sed 's/ *$//; 1s/^/  * /; 2,$s/^/    /'
    item=''
}
end() { # the stanza that was begun
    flush
    [[ ! $stamp ]] || printf '\n -- %s  %s\n\n' "$maintainer" "$stamp"
}

while IFS= read -r line; do
    case $line in
        '## '*)
            end
            read -r _ release _ day <<<"$line"
            stamp=$now
            [[ $release == Unreleased ]] || stamp=$(date -R -u -d "$day")
            [[ $release != Unreleased ]] || release=$version
            printf 'pod (%s) unstable; urgency=medium\n\n' "$release"
            ;;
        '### '*) flush; printf '  [ %s ]\n' "${line#\#\#\# }" ;;
        '- '*) flush; item=${line#- } ;;
        '  '*) [[ ! $item ]] || item+=" ${line#  }" ;;
    esac
done
end
