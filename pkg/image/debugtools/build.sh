#!/bin/sh
# Builds the embedded layer of debug tools. What the same sources and compiler gave
# before is taken from the cache: a checkout or a rebase changes no more than
# times, and the build takes half a minute.
set -eu
cd "$(dirname "$0")/src"
go=${GO:-go}
cache=$($go env GOCACHE)/pod-debug-tools
sum=$({ $go version; $go env GOARCH; cat go.* ./*.go ./*/*.go; } | sha256sum | cut -c1-32)
if ! [ -s "$cache/$sum" ]; then
	mkdir -p "$cache"
	# The flags of pod's own build would build the standard library a second time.
	GOROOT=$($go env GOROOT) GOFLAGS=-buildvcs=false $go run -trimpath . "$cache/$sum"
fi
cp "$cache/$sum" ../embed/tools.tar.zst.new
mv ../embed/tools.tar.zst.new ../embed/tools.tar.zst
