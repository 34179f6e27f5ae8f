package logs

import (
	"errors"
	"io"
)

// timeFormat is that of conmon's files and of logs --timestamps.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// printBuffer is how much a Printer keeps before it writes.
const printBuffer = 32 << 10

// Printer writes lines as `logs` shows them: standard output and error apart and
// in order, each line begun by what was asked for, no newline added to output
// that ended without one. It keeps lines until Flush, or until they are many.
type Printer struct {
	Out, Err   io.Writer
	Timestamps bool
	// Prefix begins each line: a name or an id, with its space.
	Prefix string
	// Details follow the time.
	Details string
	// Color is an escape sequence for whole lines.
	Color string

	inside [2]bool // in the middle of a line
	buf    []byte
	stderr bool // of what is in buf
}

// Print takes one line.
func (p *Printer) Print(l Line) error {
	if p.stderr != l.Stderr || len(p.buf) >= printBuffer {
		if err := p.Flush(); err != nil {
			return err
		}
	}
	p.stderr = l.Stderr
	i := index(l.Stderr)
	if !p.inside[i] {
		p.buf = append(p.buf, p.Color...)
		p.buf = append(p.buf, p.Prefix...)
		if p.Timestamps {
			p.buf = l.Time.Local().AppendFormat(p.buf, timeFormat)
			p.buf = append(p.buf, ' ')
		}
		if p.Details != "" {
			p.buf = append(append(p.buf, p.Details...), ' ')
		}
	}
	p.buf = append(p.buf, l.Data...)
	if !l.Partial {
		p.buf = append(p.endColor(p.buf), '\n')
	}
	p.inside[i] = l.Partial
	return nil
}

// endColor ends what Color began.
func (p *Printer) endColor(b []byte) []byte {
	if p.Color == "" {
		return b
	}
	return append(b, "\x1b[0m"...)
}

// Close writes what Print took. A line that is not at its end loses its color.
func (p *Printer) Close() error {
	err := p.Flush()
	for i, w := range []io.Writer{p.Out, p.Err} {
		if p.inside[i] && p.Color != "" {
			_, wErr := w.Write(p.endColor(nil))
			err = errors.Join(err, wErr)
		}
	}
	return err
}

// Flush writes what Print took.
func (p *Printer) Flush() error {
	w := p.Out
	if p.stderr {
		w = p.Err
	}
	if len(p.buf) == 0 {
		return nil
	}
	_, err := w.Write(p.buf)
	p.buf = p.buf[:0]
	return err
}
