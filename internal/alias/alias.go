// Package alias gives this program other names, by which it is started to do one
// small thing in the place of another program.
package alias

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rootless-pod/pod/internal/self"
)

// Link makes name in dir, which is made too, a symbolic link to this program, and
// returns its path.
func Link(dir, name string) (string, error) {
	program, err := self.Path()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make %s a name of this program: %w", name, err)
	}
	path := filepath.Join(dir, name)
	if to, err := os.Readlink(path); err == nil && to == program {
		return path, nil
	}
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.Symlink(program, tmp); err != nil {
		return "", fmt.Errorf("make %s a name of this program: %w", name, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", errors.Join(fmt.Errorf("make %s a name of this program: %w", name, err), os.Remove(tmp))
	}
	return path, nil
}
