package build

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// confidential sees that a disk can be made before anything is built. Ordinary users of
// Debian lack the directory of mkfs in their PATH.
func confidential() error {
	const program = "mkfs.ext4"
	if _, err := exec.LookPath(program); err == nil {
		return nil
	}
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return fmt.Errorf("--cw: %w", err)
	}
	if _, err := exec.LookPath(program); err != nil {
		return errors.New("--cw makes a disk with mkfs.ext4, which is not installed: install e2fsprogs")
	}
	return nil
}
