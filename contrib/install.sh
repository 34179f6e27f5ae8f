#!/bin/bash
# install.sh PREFIX-DIRECTORY - puts bin/pod, its generators and completions below it.
set -euo pipefail

prefix=${1:?usage: install.sh PREFIX-DIRECTORY}
cd "$(dirname "$0")/.."

# A running pod keeps its old file: the new one takes its name, not its content.
install -d "$prefix/bin"
install -m 0755 bin/pod "$prefix/bin/.pod.new"
mv -f "$prefix/bin/.pod.new" "$prefix/bin/pod"

# systemd asks them for the units of Quadlet files; pod knows by the name it is called by.
for kind in user system; do
    install -d "$prefix/lib/systemd/$kind-generators"
    ln -sfn ../../../bin/pod "$prefix/lib/systemd/$kind-generators/pod-$kind-generator"
done

completion() { # completion SHELL FILE
    install -d "${2%/*}"
    "$prefix/bin/pod" completion "$1" >"$2.new"
    chmod 0644 "$2.new"
    mv -f "$2.new" "$2"
}
completion bash "$prefix/share/bash-completion/completions/pod"
completion zsh "$prefix/share/zsh/site-functions/_pod"
completion fish "$prefix/share/fish/vendor_completions.d/pod.fish"
