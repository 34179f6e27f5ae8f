package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// parseLine reads "TIME stdout|stderr F|P DATA" without its newline.
func parseLine(raw []byte) (Line, bool) {
	stamp, rest, ok1 := bytes.Cut(raw, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	flag, data, _ := bytes.Cut(rest, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	known := string(stream) == "stdout" || string(stream) == "stderr"
	if !ok1 || !ok2 || err != nil || !known || len(flag) == 0 {
		return Line{}, false
	}
	return Line{Time: at, Stderr: string(stream) == "stderr", Partial: flag[0] == 'P', Data: data}, true
}

// readFile reads conmon's file. When the file reaches --log-size-max, conmon
// (2.1.6 and 2.1.12, tried) renames an empty file over it: what was written
// before is gone, unless a follower has the old file open.
func readFile(ctx context.Context, path string, o Options, emit func(Line) error) error {
	r := &fileReader{path: path, o: o, emit: o.bounded(emit)}
	defer r.close()
	var w *watch
	if o.Follow {
		var err error
		if w, err = newWatch(ctx, filepath.Dir(path), o.Ended); err != nil {
			return err
		}
		defer w.close()
	}
	err := r.start(ctx)
	for err == nil {
		ended := o.ended() // before the last read, so that it reads all
		if err = r.toEnd(ctx); err != nil || !o.Follow {
			break
		}
		var moved bool
		if moved, err = r.reopen(ctx); err != nil || moved {
			continue
		}
		if ended || ctx.Err() != nil {
			break
		}
		w.wait()
	}
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// fileReader reads one file after the other.
type fileReader struct {
	path string
	o    Options
	emit func(Line) error
	file *os.File
	in   *bufio.Reader
	// part is a line whose end is not written yet.
	part []byte
	// skip counts entries of stdout and stderr to leave out at the beginning.
	skip [2]int
}

// start opens the file and goes to the first line wanted.
func (r *fileReader) start(ctx context.Context) error {
	if _, err := r.reopen(ctx); err != nil || r.file == nil || r.o.Tail < 0 {
		return err
	}
	offset, skip, err := findTail(r.file, &r.o)
	if err != nil {
		return err
	}
	r.skip = skip
	if _, err := r.file.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("seek in %s: %w", r.path, err)
	}
	return nil
}

// reopen opens what path names now, if that is another file than before.
func (r *fileReader) reopen(ctx context.Context) (bool, error) {
	if r.file != nil {
		now, err := os.Stat(r.path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // removed with its container
		}
		if err != nil {
			return false, err
		}
		mine, err := r.file.Stat()
		if err != nil || os.SameFile(mine, now) {
			return false, err
		}
	}
	next, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // not started yet
	}
	if err != nil {
		return false, err
	}
	if r.file != nil {
		// What came between the last read and the rename, even if it ends now.
		if err := r.toEnd(context.WithoutCancel(ctx)); err != nil {
			_ = next.Close()
			return false, err
		}
	}
	r.close()
	r.file, r.in, r.part = next, bufio.NewReaderSize(next, 64<<10), nil
	return true, nil
}

func (r *fileReader) close() {
	if r.file != nil {
		_ = r.file.Close() // only read
	}
}

// toEnd emits the lines up to the present end of the file.
func (r *fileReader) toEnd(ctx context.Context) error {
	for r.file != nil && ctx.Err() == nil {
		chunk, err := r.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			r.part = append(r.part, chunk...)
			continue
		case errors.Is(err, io.EOF):
			r.part = append(r.part, chunk...)
			return nil
		case err != nil:
			return err
		}
		raw := chunk
		if len(r.part) > 0 {
			r.part = append(r.part, chunk...)
			raw = r.part
		}
		l, ok := parseLine(raw[:len(raw)-1])
		if ok && !r.skipped(l) {
			err = r.emit(l)
		}
		r.part = r.part[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *fileReader) skipped(l Line) bool {
	i := index(l.Stderr)
	if r.skip[i] > 0 {
		r.skip[i]--
		return true
	}
	return false
}

func index(stderr bool) int {
	if stderr {
		return 1
	}
	return 0
}

// watch waits for changes in a directory: writes, and conmon's rename.
type watch struct {
	file *os.File
	stop func() bool
	done chan struct{}
}

func newWatch(ctx context.Context, dir string, ended <-chan struct{}) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	w := &watch{file: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{})}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		_ = w.file.Close()
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	wake := func() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) }
	w.stop = context.AfterFunc(ctx, wake)
	go func() {
		select {
		case <-ended: // nil never is
			wake()
		case <-w.done:
		}
	}()
	return w, nil
}

// wait returns after a change, at the end of the context or of the container.
func (w *watch) wait() {
	buf := make([]byte, 16<<10)
	_, _ = w.file.Read(buf) // what changed, or a deadline: the caller looks itself
}

func (w *watch) close() {
	w.stop()
	close(w.done)
	_ = w.file.Close()
}
