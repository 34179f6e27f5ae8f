package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// beyond bounds the search for the beginning of a long line that the other
// stream's lines interrupt.
const beyond = 256 << 10

// counter finds, going backwards, the entries of the last lines. A line ends
// with a full entry, or with a partial one that nothing of its stream follows.
type counter struct {
	want int
	o    *Options
	// seen, closed: an entry of the stream was seen; its lines wanted are whole.
	seen, closed [2]bool
	// out counts entries of the stream that are left out; skip is out at the
	// earliest entry wanted.
	out, skip [2]int
	// beyond counts the bytes read since the last entry wanted; done: nothing
	// earlier is wanted.
	beyond int64
	done   bool
}

// add looks at the entry before the last one. It returns whether the entry is
// wanted, and whether earlier ones may be.
func (c *counter) add(l Line) (wanted, more bool) {
	i := index(l.Stderr)
	if !c.o.Until.IsZero() && l.Time.After(c.o.Until) {
		return false, true // the reader stops there by itself
	}
	if !c.o.Since.IsZero() && l.Time.Before(c.o.Since) {
		return false, false
	}
	if !l.Partial || !c.seen[i] { // an end
		c.seen[i] = true
		if c.want == 0 {
			c.closed[i] = true
		} else if !c.closed[i] {
			c.want--
		}
	}
	if c.closed[i] {
		c.out[i]++
		return false, !c.satisfied()
	}
	c.skip = c.out
	return true, true
}

// satisfied: there are enough lines and none of them may begin earlier.
func (c *counter) satisfied() bool {
	return c.want == 0 && (c.closed[0] || !c.seen[0]) && (c.closed[1] || !c.seen[1])
}

// find returns the offset of the earliest entry of f, whose size is given, that
// is of the last lines; size if none is. It reads backwards, no further than
// necessary, and goes on with the file before if it is not done.
func (c *counter) find(f io.ReaderAt, size int64) (int64, error) {
	start := size
	if c.o.Tail == 0 {
		c.done = true
		return size, nil
	}
	from := size // of what was read since the last entry wanted
	err := backwards(f, size, func(offset int64, raw []byte) bool {
		l, ok := parseLine(raw)
		if !ok {
			return true
		}
		wanted, more := c.add(l)
		if wanted {
			start, from, c.beyond = offset, offset, 0
		}
		c.done = !more || c.want == 0 && c.beyond+from-offset >= beyond
		return !c.done
	})
	c.beyond += from
	return start, err
}

// backwards calls visit for each complete line before end, last first, until
// visit returns false.
func backwards(f io.ReaderAt, end int64, visit func(offset int64, line []byte) bool) error {
	const block = 64 << 10
	var rest []byte // the end of a line that begins in an earlier block
	first := true
	for end > 0 {
		size := min(int64(block), end)
		buf := make([]byte, size, size+int64(len(rest)))
		if _, err := f.ReadAt(buf, end-size); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read backwards: %w", err)
		}
		end -= size
		buf = append(buf, rest...)
		if first {
			// What follows the last newline is not written to its end yet.
			cut := bytes.LastIndexByte(buf, '\n')
			if cut < 0 {
				rest = buf
				continue
			}
			buf, first = buf[:cut], false
		}
		for {
			i := bytes.LastIndexByte(buf, '\n')
			if i < 0 {
				break
			}
			if !visit(end+int64(i)+1, buf[i+1:]) {
				return nil
			}
			buf = buf[:i]
		}
		rest = buf
	}
	if !first {
		visit(0, rest)
	}
	return nil
}
