package output

import (
	"bytes"
	"io"
	"strings"
	"text/tabwriter"
)

// Rows prints a table of cells that are known, without headings if there are
// none. It looks like List's; without a template a row costs a tenth.
func Rows(w io.Writer, headings []string, rows [][]string) error {
	var all bytes.Buffer
	if len(headings) > 0 {
		all.WriteString(strings.Join(headings, "\t"))
		all.WriteByte('\n')
	}
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				all.WriteByte('\t')
			}
			all.WriteString(Printable(cell))
		}
		all.WriteByte('\n')
	}
	return align(w, all.Bytes())
}

// align writes lines of cells with tabs between them as a table, in one write: a
// tabwriter makes one for each cell, and with a reader that is gone after the
// heading (pod ps | head -1) the second would end us with SIGPIPE.
func align(w io.Writer, lines []byte) error {
	var table bytes.Buffer
	// The peer's cell width, so that scripts that cut columns see the same.
	tw := tabwriter.NewWriter(&table, 12, 2, 2, ' ', 0)
	if _, err := tw.Write(lines); err != nil {
		return err
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := w.Write(table.Bytes())
	return err
}
