package events

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
)

// fileLog keeps one JSON object per line. A file that has reached its bound
// becomes the one older file, path.1.
type fileLog struct {
	path    string
	maxSize int64
	store   string
}

func (l *fileLog) Name() string { return "file" }

func (l *fileLog) Write(e Event) error {
	e.stamp(l.store)
	line, err := json.Marshal(&e)
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	f, err := l.open(os.O_WRONLY)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil // as below
	}
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	defer f.Close()
	// One write per line: the kernel appends it whole, whoever else writes.
	_, err = f.Write(append(line, '\n'))
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil // the command says that the disk is full, if that stops it
	}
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.Size() > l.maxSize {
		return l.rotate(f)
	}
	return nil
}

// open opens the file for appending and makes it, with its directory, if
// necessary.
func (l *fileLog) open(access int) (*os.File, error) {
	flags := access | os.O_APPEND | os.O_CREATE | unix.O_NOFOLLOW
	f, err := os.OpenFile(l.path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(l.path, flags, 0o600)
	}
	return f, err
}

// rotate makes f the older file. The lock is on the file itself, so of many
// writers that find it full one renames it, and the others see that it is gone.
func (l *fileLog) rotate(f *os.File) error {
	if err := flock.Lock(f, unix.LOCK_EX); err != nil {
		return fmt.Errorf("rotate %s: %w", l.path, err)
	}
	same, err := l.isCurrent(f)
	if err != nil || !same {
		return err
	}
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		return fmt.Errorf("rotate events: %w", err)
	}
	return nil
}

// isCurrent tells whether f is still what path names.
func (l *fileLog) isCurrent(f *os.File) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Lstat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, now), err
}

func (l *fileLog) Read(ctx context.Context, f Filter) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var err error
		if f.follows(time.Now()) {
			err = l.follow(ctx, f, yield)
		} else {
			err = l.readAll(ctx, f, yield)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(Event{}, fmt.Errorf("read events: %w", err))
		}
	}
}

// readAll reads the older file and the current one. A rotation in between would
// hide a whole file, so the current one is opened first.
func (l *fileLog) readAll(ctx context.Context, f Filter, yield func(Event, error) bool) error {
	for range 8 {
		current, err := os.Open(l.path)
		if errors.Is(err, fs.ErrNotExist) {
			current = nil
		} else if err != nil {
			return err
		}
		old, err := os.Open(l.path + ".1")
		if errors.Is(err, fs.ErrNotExist) {
			old = nil
		} else if err != nil {
			closeAll(current)
			return err
		}
		if current != nil && old != nil && sameFile(current, old) {
			closeAll(current, old)
			continue // rotated between the two
		}
		defer closeAll(current, old)
		for _, file := range []*os.File{old, current} {
			if file == nil {
				continue
			}
			if err := new(tail).read(ctx, file, f, yield); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%s is rotated faster than it can be read", l.path)
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close() // only read
		}
	}
}

func sameFile(a, b *os.File) bool {
	x, err := a.Stat()
	if err != nil {
		return false
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y)
}

// tail holds the beginning of a line that is not complete yet.
type tail struct{ partial []byte }

// read hands on the events of r up to its present end.
func (t *tail) read(ctx context.Context, r io.Reader, f Filter, yield func(Event, error) bool) error {
	in := bufio.NewReader(r)
	for ctx.Err() == nil {
		line, err := in.ReadBytes('\n')
		t.partial = append(t.partial, line...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line, t.partial = t.partial, nil
		var e Event
		// A line cut off by a full disk says nothing; the others do.
		if json.Unmarshal(bytes.TrimSpace(line), &e) != nil {
			continue
		}
		if f.Match(&e) && !yield(e, nil) {
			return errStop
		}
	}
	return nil
}

// follow reads what is there and then what comes. The watch is set before the
// first read, so nothing falls between them.
func (l *fileLog) follow(ctx context.Context, f Filter, yield func(Event, error) bool) error {
	if !f.Until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, f.Until)
		defer cancel()
	}
	current, err := l.open(os.O_RDWR)
	if err != nil {
		return err
	}
	defer func() { closeAll(current) }()
	w, err := newWatch(ctx, l.path)
	if err != nil {
		return err
	}
	defer w.close()
	if same, err := l.isCurrent(current); err != nil || !same {
		return errors.Join(err, errors.New("the log was rotated at this moment, try again"))
	}
	t := new(tail)
	if f.fromNow() {
		_, err = current.Seek(0, io.SeekEnd)
	} else if old, openErr := os.Open(l.path + ".1"); openErr == nil {
		err = new(tail).read(ctx, old, f, yield)
		closeAll(old)
	}
	if err != nil {
		return err
	}
	for {
		if err := t.read(ctx, current, f, yield); err != nil {
			return err
		}
		same, err := l.isCurrent(current)
		if err != nil {
			return err
		}
		if !same {
			next, err := l.next(w, func() error { return t.read(ctx, current, f, yield) })
			if err != nil {
				return err
			}
			closeAll(current)
			current, t = next, new(tail)
			continue
		}
		if !w.wait() {
			return nil
		}
	}
}

// next opens the file that follows a rotated one. The watch is moved before the
// last read of the old file: a writer may have had it open still.
func (l *fileLog) next(w *watch, lastRead func() error) (*os.File, error) {
	next, err := l.open(os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := w.add(l.path); err != nil {
		closeAll(next)
		return nil, err
	}
	if err := lastRead(); err != nil {
		closeAll(next)
		return nil, err
	}
	return next, nil
}

// watch waits for changes of files. Its end may take the kernel 10 ms, which a
// follower does not feel.
type watch struct {
	file *os.File
	stop func() bool
}

func newWatch(ctx context.Context, path string) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	w := &watch{file: os.NewFile(uintptr(fd), "inotify")}
	if err := w.add(path); err != nil {
		closeAll(w.file)
		return nil, err
	}
	w.stop = context.AfterFunc(ctx, func() { closeAll(w.file) })
	return w, nil
}

func (w *watch) add(path string) error {
	conn, err := w.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	var addErr error
	err = conn.Control(func(fd uintptr) {
		_, addErr = unix.InotifyAddWatch(int(fd), path, unix.IN_MODIFY|unix.IN_MOVE_SELF|unix.IN_ATTRIB)
	})
	if err = errors.Join(err, addErr); err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	return nil
}

// wait returns true after a change and false when the context has ended.
func (w *watch) wait() bool {
	buf := make([]byte, 64*unix.SizeofInotifyEvent)
	_, err := w.file.Read(buf)
	return err == nil
}

func (w *watch) close() {
	if w.stop() {
		closeAll(w.file)
	}
}
