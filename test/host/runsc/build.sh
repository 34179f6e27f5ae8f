#!/bin/bash
# build.sh FILE - builds gVisor's runsc of the version in go.mod into FILE; what was
# built once is kept beside the test host's files.
set -euo pipefail

target=$(realpath -m "${1:?usage: build.sh FILE}")
cd "$(dirname "$0")"
PATH=$PATH:/usr/local/go/bin
dir=${POD_TESTHOST_DIR:-/var/cache/pod-testhost}
kept=$dir/runsc-$(sha256sum go.mod | cut -c1-16)-$(go env GOARCH)

mkdir -p "$dir" "${target%/*}"
exec {lock}>"$dir/runsc.lock"
flock "$lock"
if [[ ! -x $kept ]]; then
    CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -trimpath -ldflags '-s -w' -o "$kept.new" gvisor.dev/gvisor/runsc
    mv "$kept.new" "$kept"
fi
cp "$kept" "$target.new"
mv "$target.new" "$target"
