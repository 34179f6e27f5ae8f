// Package inroot opens files below a root whose content nobody has checked, without leaving
// it, in one system call each. pathrs-lite of filepath-securejoin makes the same call
// (openat2(2) with RESOLVE_IN_ROOT), and then asks a copy of /proc, made for the purpose, for
// the name of what it opened: 0.3 ms a file, 2 ms of each start of a container.
package inroot

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// attempts bounds how often a look-up is repeated that a rename or mount at the same moment
// disturbed (EAGAIN, or EXDEV at the last check).
const attempts = 128

// Open returns a handle (O_PATH) of the file at path below root. Links are followed, absolute
// ones and ".." from root, those of /proc not. Errors are of type *os.PathError.
func Open(root *os.File, path string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for range attempts {
		fd, err := unix.Openat2(int(root.Fd()), path, &how)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), filepath.Join(root.Name(), path)), nil
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM): // an old kernel, or a filter that does not know the call
			return pathrs.OpenatInRoot(root, path)
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EINTR):
			return nil, &os.PathError{Op: "openat2", Path: path, Err: err}
		}
	}
	return nil, &os.PathError{Op: "openat2", Path: path, Err: unix.EAGAIN}
}

// OpenAt is Open below the directory called root.
func OpenAt(root, path string) (*os.File, error) {
	dir, err := os.OpenFile(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return Open(dir, path)
}

// ErrIrregular means that a path is no regular file.
var ErrIrregular = errors.New("it is no regular file")

// OpenRegular opens a file below the directory called root with flags of open(2), if it is a
// regular one: of a pipe or a device nothing is opened (ErrIrregular).
func OpenRegular(root, path string, flags int) (*os.File, error) {
	handle, err := OpenAt(root, path)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	st, err := handle.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, ErrIrregular
	}
	return os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(handle.Fd())), flags, 0)
}
