package pasta

import (
	"os/exec"
	"path/filepath"

	"github.com/rootless-pod/pod/internal/script"
)

// faster is the file to execute for the pasta at path. On x86-64 upstream's program comes
// twice, and the plain one begins by executing its neighbour where the processor has
// AVX2: 1.7 ms, which are saved by starting that one at once. The neighbour is looked
// for where pasta looks, beside the file that links lead to (/proc/self/exe).
func faster(path string, avx2 bool) string {
	if !avx2 {
		return path
	}
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	neighbour, err := exec.LookPath(file + ".avx2")
	if err != nil {
		return path
	}
	if is, err := script.Is(file); err != nil || is {
		return path
	}
	return neighbour
}
