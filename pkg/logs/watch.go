package logs

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// watch waits for changes in a directory: writes, and renamed files.
type watch struct {
	ctx   context.Context //nolint:containedctx // it is one follower's
	ended <-chan struct{}
	// file is nil where there is no inotify: a user has few of them.
	file *os.File
	stop func() bool
	done chan struct{}
}

// blindPause is between two looks without inotify.
const blindPause = 100 * time.Millisecond

func newWatch(ctx context.Context, dir string, ended <-chan struct{}) *watch {
	w := &watch{ctx: ctx, ended: ended}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return w
	}
	file := os.NewFile(uintptr(fd), "inotify") //nolint:gosec // a descriptor
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		_ = file.Close()
		return w
	}
	w.file, w.done = file, make(chan struct{})
	wake := func() { _ = file.SetReadDeadline(time.Unix(1, 0)) }
	w.stop = context.AfterFunc(ctx, wake)
	go func() {
		select {
		case <-ended: // nil never is
			wake()
		case <-w.done:
		}
	}()
	return w
}

// wait returns after a change, at the end of the context or of the container.
func (w *watch) wait() {
	if w.file == nil {
		select {
		case <-w.ctx.Done():
		case <-w.ended:
		case <-time.After(blindPause):
		}
		return
	}
	buf := make([]byte, 16<<10)
	_, _ = w.file.Read(buf) // what changed, or a deadline: the caller looks itself
}

func (w *watch) close() {
	if w.file == nil {
		return
	}
	w.stop()
	close(w.done)
	_ = w.file.Close()
}
