// Package wholefile writes files that readers see whole or not at all.
package wholefile

import (
	"errors"
	"os"
	"path/filepath"
)

// Write puts data in path, with mode 0600, in one piece: it is written to a
// temporary file beside it, whose name is made of pattern as os.CreateTemp does,
// and renamed. A kill leaves the temporary file at most. Nothing is synced: after
// a power loss the file may be the old one, the new one, or empty.
func Write(path, pattern string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), pattern)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
