#!/bin/bash
# copyright.sh - writes the licences of pod and of all Go modules that are linked into
# it, each text once.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

go=${GO:-go}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
modules=$work/modules texts=$work/texts
mkdir "$texts"

list='{{with .Module}}{{if .Version}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}'
{
    $go list -deps -f "$list" ./cmd/pod
    cd pkg/image/debugtools/src # the programs that are embedded
    GOFLAGS='' $go list -deps -f "$list" ./nslookup ./sh ./env
} | sort -u >"$modules"
[[ -s $modules ]]

# A text that is the Apache licence, in whatever shape, is a reference to Debian's copy.
apache=Apache
while read -r path version dir; do
    for file in "$dir"/*; do
        [[ -f $file && ${file##*/} =~ ^(LICEN[CS]E|License|COPYING|UNLICENSE|NOTICE|PATENTS) ]] || continue
        name=$(tr -s ' \t\n' ' ' <"$file" | sha256sum | cut -c1-16)
        if [[ ${file##*/} != NOTICE* ]] && grep -q 'Apache License' "$file" && grep -q 'Version 2.0, January 2004' "$file"; then
            name=$apache
        else
            tr -d '\r' <"$file" >"$texts/$name.text"
        fi
        printf '%s %s\n' "$path" "$version" >>"$texts/$name.of"
    done
done <"$modules"

cat <<'HEAD'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: pod
Source: https://github.com/rootless-pod/pod

Files: *
Copyright: the authors of pod
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
Comment:
 The program contains the Go modules below, under their own licences, and
 Go's run-time library, which has the licence of golang.org/x/sys.
HEAD
for of in "$texts/$apache.of" "$texts"/[0-9a-f]*.of; do
    printf ' .\n  -- of %s\n' "$(sort -u "$of" | paste -sd ',' | sed 's/,/, /g')" | fold -s -w 78 |
        sed '1!{/^  --/!s/^/  /}'
    if [[ $of == "$texts/$apache.of" ]]; then
        printf '  Apache License 2.0: /usr/share/common-licenses/Apache-2.0\n'
    else
        sed 's/^/  /; s/^ *$/ ./' "${of%.of}.text"
    fi
done
