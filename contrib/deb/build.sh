#!/bin/bash
# build.sh - makes a Debian package of bin/pod and bin/man, and prints its path.
#
# usage: build.sh DIRECTORY
#
# The same sources give the same bytes: all times are SOURCE_DATE_EPOCH. Built on the
# oldest distribution, the package is for all that are newer: Debian 12 and 13. The
# maintainer is DEBFULLNAME <DEBEMAIL>, as Debian's own tools have it.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8 TZ=UTC

mkdir -p "${1:?usage: build.sh DIRECTORY}"
out=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
cd "$here/../.."
: "${SOURCE_DATE_EPOCH:?is not set; make sets it to the time of the commit}"
export SOURCE_DATE_EPOCH
arch=$(dpkg --print-architecture)
maintainer="${DEBFULLNAME:-pod maintainers} <${DEBEMAIL:-maintainers@pod.invalid}>"
tree=$(mktemp -d)
trap 'rm -rf "$tree" "$tree.work"' EXIT
chmod 0755 "$tree"
mkdir "$tree.work"

# Of 0.1.0-dev each commit is a version of its own, and all come before 0.1.0.
version=$(bin/pod --version | awk '{ print $3 }')
if [[ $version == *-dev ]]; then
    commit=$(git describe --always --dirty=.dirty --abbrev=12 --exclude='*' 2>/dev/null || true)
    version=${version%-dev}~dev$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)${commit:+.g$commit}
fi

# ---------------------------------------------------------------------- files

contrib/install.sh "$tree" /usr
doc=$tree/usr/share/doc/pod
rm "$tree/usr/share/pod/installed" # dpkg has a list of its own
# Debian's zsh looks for completions of packages here.
mkdir -p "$tree/usr/share/zsh/vendor-completions"
mv "$tree/usr/share/zsh/site-functions/_pod" "$tree/usr/share/zsh/vendor-completions/"
rmdir "$tree/usr/share/zsh/site-functions"
install -m 0644 README.md docs/architecture.md "$doc"
install -D -m 0644 "$here/lintian-overrides" "$tree/usr/share/lintian/overrides/pod"
"$here/copyright.sh" >"$doc/copyright"
"$here/changelog.sh" "$version" "$maintainer" <CHANGELOG.md >"$doc/changelog"
find "$tree/usr/share/man" "$doc/changelog" "$doc/architecture.md" -type f -exec gzip -9n {} +

# -------------------------------------------------------------------- control

# What the programs were linked with, in the versions that they need.
mkdir "$tree.work/debian"
printf 'Source: pod\n\nPackage: pod\nArchitecture: any\n' >"$tree.work/debian/control"
programs=("$tree/usr/bin/pod" "$tree"/usr/libexec/pod/quick-*)
libraries=$(cd "$tree.work" && dpkg-shlibdeps -O "${programs[@]/#/-e}" | sed -n 's/^shlibs:Depends=//p')
[[ $libraries ]]

mkdir "$tree/DEBIAN"
sed -e "s|@version@|$version|; s|@arch@|$arch|; s|@maintainer@|$maintainer|; s|@libraries@|$libraries|" \
    -e "s|@size@|$(du -sk --apparent-size "$tree/usr" | cut -f1)|" "$here/control" >"$tree/DEBIAN/control"
install -m 0755 "$here/postinst" "$here/prerm" "$here/postrm" "$tree/DEBIAN/"
install -m 0644 "$here/triggers" "$tree/DEBIAN/"
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
chmod 0644 "$tree/DEBIAN/md5sums"

# Directories of the tree get the time of the sources, too: dpkg-deb takes back only
# times that are later.
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
package=$out/pod_${version}_$arch.deb
dpkg-deb --root-owner-group -Zgzip -z9 --build "$tree" "$package" >&2
printf '%s\n' "$package"
