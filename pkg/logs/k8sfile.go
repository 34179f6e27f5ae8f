package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// readFile reads conmon's file, and those it was before.
func readFile(ctx context.Context, path string, o Options, emit func(Line) error) error {
	r := &fileReader{chain: chain{path}, o: o, emit: o.bounded(emit)}
	defer r.close()
	var w *watch
	if o.Follow {
		w = newWatch(ctx, filepath.Dir(path), o.Ended)
		defer w.close()
	}
	err := r.start()
	for err == nil {
		ended := o.ended() // before the last read, so that it reads all
		var moved bool
		if moved, err = r.advance(ctx); err != nil || moved {
			continue
		}
		if !o.Follow || ended || ctx.Err() != nil {
			break
		}
		if o.Idle != nil {
			if err = o.Idle(); err != nil {
				break
			}
		}
		w.wait()
	}
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// fileReader reads the files of a chain from the oldest wanted on.
type fileReader struct {
	chain chain
	o     Options
	emit  func(Line) error
	file  *os.File
	in    *bufio.Reader
	// end is where a reader that does not follow ends: the newest file when it
	// began, held open, and its size then.
	end     *os.File
	endSize int64
	// part is a line whose end is not written yet.
	part []byte
	// long is the entry of a line that is longer than the buffer, and handed on
	// in pieces; it ends with the next newline. longSkip leaves it out.
	long           *Line
	longSkip       bool
	longIncomplete bool
	// skip counts entries of stdout and stderr to leave out at the beginning.
	skip [2]int
}

// start opens the file with the first line wanted, and goes there. A log that
// is not there is empty.
func (r *fileReader) start() error {
	links, err := r.chain.links()
	if err != nil {
		return err
	}
	c := &counter{want: r.o.Tail, o: &r.o}
	for _, l := range links {
		f, err := r.chain.open(l)
		if err != nil {
			return err
		}
		if f == nil { // it moved: look again
			r.close()
			*r = fileReader{chain: r.chain, o: r.o, emit: r.emit}
			return r.start()
		}
		more, offset, err := r.wanted(f, l, c)
		if err == nil && offset >= 0 {
			err = r.take(f, l, offset)
		} else {
			_ = f.Close() // only read
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// wanted tells from where on a file is wanted (negative: not at all) and whether
// older ones may be.
func (r *fileReader) wanted(f *os.File, l link, c *counter) (more bool, offset int64, err error) {
	if !r.o.Since.IsZero() && r.file != nil {
		last, err := lastTime(f, l.size)
		if err != nil || last.Before(r.o.Since) {
			return false, -1, err
		}
	}
	if r.o.Tail < 0 {
		return true, 0, nil
	}
	offset, err = c.find(f, l.size)
	r.skip = c.skip
	if offset == l.size && r.file != nil {
		offset = -1 // of this one nothing
	}
	return !c.done, offset, err
}

// take reads on in f from offset; the first file taken is the newest.
func (r *fileReader) take(f *os.File, l link, offset int64) error {
	if r.end == nil && !r.o.Follow {
		r.end, r.endSize = f, l.size
	}
	return r.open(f, offset)
}

// limited is the present file from offset on.
func (r *fileReader) limited(offset int64) io.Reader {
	if r.file == r.end {
		return io.LimitReader(r.file, r.endSize-offset)
	}
	return r.file
}

// open makes f the present file, to be read from offset on.
func (r *fileReader) open(f *os.File, offset int64) error {
	if r.file != nil && r.file != r.end {
		_ = r.file.Close() // only read
	}
	if r.in == nil {
		r.in = bufio.NewReaderSize(nil, 64<<10)
	}
	r.file, r.part, r.long = f, r.part[:0], nil
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("seek in %s: %w", f.Name(), err)
	}
	r.in.Reset(r.limited(offset))
	return nil
}

func (r *fileReader) close() {
	for _, f := range []*os.File{r.file, r.end} {
		if f != nil {
			_ = f.Close() // only read; a second close of the same does no harm
		}
	}
}

// advance reads to the present end, and goes on to the next file if there is one.
func (r *fileReader) advance(ctx context.Context) (bool, error) {
	if r.file == nil {
		if !r.o.Follow {
			return false, nil
		}
		err := r.start() // not started before
		return r.file != nil, err
	}
	last := r.file == r.end
	var next *os.File
	if !last {
		var err error
		if next, err = r.next(); err != nil {
			return false, err
		}
	}
	// Once there is a next file, nothing comes to this one any more.
	if err := r.toEnd(ctx); err != nil || next == nil {
		if next != nil && next != r.end {
			_ = next.Close()
		}
		return false, err
	}
	return true, r.open(next, 0)
}

// next is the file after the present one. A reader that does not follow must
// not miss its end, though that was deleted meanwhile.
func (r *fileReader) next() (*os.File, error) {
	next, err := r.chain.successor(r.file)
	if err != nil || r.end == nil {
		return next, err
	}
	end, err := r.end.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at log file: %w", err)
	}
	if next == nil || deleted(end) {
		if next != nil {
			_ = next.Close()
		}
		return r.end, nil
	}
	info, err := next.Stat()
	if err == nil && identify(info) == identify(end) {
		_ = next.Close()
		return r.end, nil
	}
	return next, err
}

// toEnd emits the lines up to the present end of the file.
func (r *fileReader) toEnd(ctx context.Context) error {
	for ctx.Err() == nil {
		chunk, err := r.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull) || errors.Is(err, io.EOF) && len(chunk) > 0 && (r.long != nil || len(r.part)+len(chunk) > r.in.Size()):
			if err := r.piece(chunk, false); err != nil {
				return err
			}
		case errors.Is(err, io.EOF):
			r.part = append(r.part, chunk...)
			return nil
		case err != nil:
			return fmt.Errorf("read log file: %w", err)
		case r.long != nil:
			if err := r.piece(chunk[:len(chunk)-1], true); err != nil {
				return err
			}
		default:
			if err := r.whole(chunk); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole emits an entry; chunk is its end.
func (r *fileReader) whole(chunk []byte) error {
	raw := chunk
	if len(r.part) > 0 {
		r.part = append(r.part, chunk...)
		raw = r.part
		defer func() { r.part = r.part[:0] }()
	}
	l, ok := parseLine(raw[:len(raw)-1])
	if !ok || r.skipped(l) {
		return nil
	}
	return r.emit(l)
}

// piece emits a piece of a line that is longer than the buffer.
func (r *fileReader) piece(chunk []byte, last bool) error {
	if r.long == nil {
		l, ok := parseLine(append(r.part, chunk...))
		r.part = r.part[:0]
		r.longSkip = !ok || r.skipped(l)
		r.longIncomplete = l.Partial
		r.long, chunk = &l, l.Data
	}
	l := *r.long
	l.Data, l.Partial = chunk, !last || r.longIncomplete
	if last {
		r.long = nil
	} else {
		r.long.Data = nil
	}
	if r.longSkip {
		return nil
	}
	return r.emit(l)
}

func (r *fileReader) skipped(l Line) bool {
	i := index(l.Stderr)
	if r.skip[i] > 0 {
		r.skip[i]--
		return true
	}
	return false
}

// lastTime is the time of the last entry of a file.
func lastTime(f *os.File, size int64) (time.Time, error) {
	var at time.Time
	err := backwards(f, size, func(_ int64, raw []byte) bool {
		l, ok := parseLine(raw)
		at = l.Time
		return !ok
	})
	return at, err
}
