#!/bin/bash
# completions.sh DIRECTORY - writes pod's shell completions into it.
set -euo pipefail

dir=${1:?usage: completions.sh DIRECTORY}
pod=$(dirname "$0")/../bin/pod
mkdir -p "$dir"
"$pod" completion bash >"$dir/pod.bash"
"$pod" completion zsh >"$dir/_pod"
"$pod" completion fish >"$dir/pod.fish"
