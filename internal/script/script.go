// Package script tells scripts from programs: a script may look at its own path, so it
// must not be started by another one.
package script

import (
	"errors"
	"io"
	"os"
)

// Is says whether the file at path is a script.
func Is(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var magic [2]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(magic[:]) == "#!", nil
}
