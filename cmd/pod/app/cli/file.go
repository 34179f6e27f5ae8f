package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// WriteFile writes a file that is there whole or not at all; what cannot be
// replaced, a device or a FIFO, is written to.
func WriteFile(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	info, statErr := os.Stat(path)
	plain := errors.Is(statErr, os.ErrNotExist) || statErr == nil && info.Mode().IsRegular()
	name, flags := path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	if plain {
		// The directory may be everybody's, and a link planted in it by this name.
		name, flags = fmt.Sprintf("%s.pod-%d", path, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_EXCL
		_ = os.Remove(name)
	}
	f, err := os.OpenFile(name, flags, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = errors.Join(write(f), f.Close())
	if !plain {
		return err
	}
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		_ = os.Remove(name) // the first error is what matters
	}
	return err
}
