package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrForeign says that the directory of a volume is there, and is not pod's.
var ErrForeign = errors.New("the directory is there, and not pod's")

// nameFormat is that of the field.
var nameFormat = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) }) //nolint:gochecknoglobals // compiled once, when it is needed

// CheckName refuses what cannot be a volume's name.
func CheckName(name string) error {
	if !nameFormat().MatchString(name) {
		return fmt.Errorf("running volume create option: volume name %q: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument", name)
	}
	if len(name) > 255 {
		return fmt.Errorf("volume name of %d characters: 255 are the most", len(name))
	}
	return nil
}

// Place is the directory of one volume. Its content is in Data; beside that is what
// is made before it becomes the content, or was it and is being removed.
type Place string

// Data is the content.
func (p Place) Data() string { return filepath.Join(string(p), "_data") }

// Staging is where a new content is made; Upper and Work are what is written over
// an image.
func (p Place) Staging() string { return filepath.Join(string(p), "_staging") }

// Upper holds what was written to a volume of the driver image.
func (p Place) Upper() string { return filepath.Join(string(p), "_upper") }

// Work is the overlay's own.
func (p Place) Work() string { return filepath.Join(string(p), "_work") }

// Claim makes the directory, empty, for a volume that has no record yet. Another
// tool's volume in it is never taken over; what a killed Claim left is.
func (p Place) Claim() error {
	if err := os.MkdirAll(filepath.Dir(string(p)), 0o700); err != nil {
		return fmt.Errorf("make directory of the volumes: %w", err)
	}
	err := os.Mkdir(string(p), 0o755) //nolint:gosec // users of the container go in
	if errors.Is(err, fs.ErrExist) {
		inside, readErr := os.ReadDir(string(p))
		if readErr != nil || len(inside) > 0 {
			return fmt.Errorf("%s: %w", p, ErrForeign)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("make directory of the volume: %w", err)
	}
	return nil
}

// Make makes the directory of the content, unless it is there. A kill can have come
// between the record and it.
func (p Place) Make(uid, gid int) error {
	if _, err := os.Lstat(p.Data()); err == nil {
		return nil
	}
	// Whole under its name: never with another owner.
	if err := os.Mkdir(p.Staging(), 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // as above
		return fmt.Errorf("make directory of the content: %w", err)
	}
	if err := os.Lchown(p.Staging(), uid, gid); err != nil {
		return fmt.Errorf("give the volume to %d:%d: %w: only ids of your own range can be given", uid, gid, err)
	}
	return os.Rename(p.Staging(), p.Data())
}

// Stage makes the staging directory, empty and for its owner alone.
func (p Place) Stage() error {
	if err := os.Mkdir(p.Staging(), 0o700); err != nil {
		return fmt.Errorf("make directory of the new content: %w", err)
	}
	return nil
}

// Sweep removes what a killed restore left beside the content.
func (p Place) Sweep() error { return Remove(p.Staging()) }

// Swap puts the staging directory in the content's place, in one step: a kill
// leaves the one or the other. The old content is in Staging then.
func (p Place) Swap() error {
	err := unix.Renameat2(unix.AT_FDCWD, p.Staging(), unix.AT_FDCWD, p.Data(), unix.RENAME_EXCHANGE)
	if err != nil {
		return fmt.Errorf("put the new content in place: %w", err)
	}
	return nil
}

// Remove removes the volume from the disk. What is mounted at the content is taken
// away before, and what it shows is left alone.
func (p Place) Remove() error {
	if err := Unmount(p.Data()); err != nil {
		return err
	}
	return Remove(string(p))
}
