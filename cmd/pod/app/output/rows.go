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
	cells(&all, rows)
	return align(w, all.Bytes())
}

// Processes prints the rows of top, of which the first has the headings, in the
// peer's widths.
func Processes(w io.Writer, rows [][]string) error {
	var all bytes.Buffer
	cells(&all, rows)
	return alignWith(w, all.Bytes(), 5, 1, 3)
}

// cells writes rows with tabs between what can be shown of their cells.
func cells(to *bytes.Buffer, rows [][]string) {
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				to.WriteByte('\t')
			}
			to.WriteString(Printable(cell))
		}
		to.WriteByte('\n')
	}
}

// align writes lines of cells with tabs between them as a table, in one write: a
// tabwriter makes one for each cell, and with a reader that is gone after the
// heading (pod ps | head -1) the second would end us with SIGPIPE.
func align(w io.Writer, lines []byte) error {
	// The peer's cell width, so that scripts that cut columns see the same.
	return alignWith(w, lines, 12, 2, 2)
}

func alignWith(w io.Writer, lines []byte, width, tab, padding int) error {
	var table bytes.Buffer
	tw := tabwriter.NewWriter(&table, width, tab, padding, ' ', 0)
	if _, err := tw.Write(lines); err != nil {
		return err
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := w.Write(table.Bytes())
	return err
}
