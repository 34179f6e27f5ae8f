package attach

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// errStopped is what a fileReader's Read returns after stop.
var errStopped = errors.New("stopped")

// fileReader reads a file whose Read cannot be interrupted (a terminal, the pipe
// of a shell) only when there is something to read, so that stop ends it without
// taking input that belongs to whoever reads the file next.
type fileReader struct {
	file         *os.File
	wakeR, wakeW *os.File
}

// newFileReader prepares reading file.
func newFileReader(file *os.File) (*fileReader, error) {
	wakeR, wakeW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &fileReader{file: file, wakeR: wakeR, wakeW: wakeW}, nil
}

// Read waits for input or stop.
func (r *fileReader) Read(p []byte) (int, error) {
	fd := int(r.file.Fd())
	polls := []unix.PollFd{
		{Fd: int32(fd), Events: unix.POLLIN},           //nolint:gosec // a descriptor fits
		{Fd: int32(r.wakeR.Fd()), Events: unix.POLLIN}, //nolint:gosec // as above
	}
	for {
		if _, err := unix.Poll(polls, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return 0, err
		}
		if polls[1].Revents != 0 {
			return 0, errStopped
		}
		n, err := unix.Read(fd, p)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.EIO): // the terminal hung up
			return 0, io.EOF
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// stop wakes a waiting Read, and may be called while one runs.
func (r *fileReader) stop() { _ = r.wakeW.Close() }

// release gives the reader's half of the pipe back; only after the last Read.
func (r *fileReader) release() { _ = r.wakeR.Close() }
