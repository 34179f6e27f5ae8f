package logs

import (
	"bytes"
	"io"
)

// timeFormat is that of conmon's files and of logs --timestamps.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// Printer writes lines as `logs` shows them: standard output and error apart,
// each line begun by what was asked for, no newline added to output that ended
// without one.
type Printer struct {
	Out, Err   io.Writer
	Timestamps bool
	// Prefix begins each line: a name or an id, with its space.
	Prefix string

	inside [2]bool // in the middle of a line
	buf    bytes.Buffer
}

// Print writes one line with one write.
func (p *Printer) Print(l Line) error {
	i := index(l.Stderr)
	p.buf.Reset()
	if !p.inside[i] {
		p.buf.WriteString(p.Prefix)
		if p.Timestamps {
			p.buf.WriteString(l.Time.Local().Format(timeFormat))
			p.buf.WriteByte(' ')
		}
	}
	p.buf.Write(l.Data)
	if !l.Partial {
		p.buf.WriteByte('\n')
	}
	p.inside[i] = l.Partial
	w := p.Out
	if l.Stderr {
		w = p.Err
	}
	_, err := w.Write(p.buf.Bytes())
	return err
}
