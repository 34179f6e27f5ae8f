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
	tw := tabwriter.NewWriter(w, 12, 2, 2, ' ', 0)
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
	if _, err := tw.Write(all.Bytes()); err != nil {
		return err
	}
	return tw.Flush()
}
