package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
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

// findTail returns the offset of the earliest entry of the last lines, and how
// many entries of either stream from there on are not of them. It reads the
// file backwards, no further than necessary.
func findTail(f *os.File, o *Options) (int64, [2]int, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, [2]int{}, fmt.Errorf("seek in %s: %w", f.Name(), err)
	}
	c := &counter{want: o.Tail, o: o}
	start := end
	last := end // the last entry wanted
	if o.Tail == 0 {
		return end, [2]int{}, nil
	}
	err = backwards(f, end, func(offset int64, raw []byte) bool {
		l, ok := parseLine(raw)
		if !ok {
			return true
		}
		wanted, more := c.add(l)
		if wanted {
			start, last = offset, offset
		}
		return more && (c.want > 0 || last-offset < beyond)
	})
	return start, c.skip, err
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
