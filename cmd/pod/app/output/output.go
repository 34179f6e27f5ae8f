// Package output renders what commands print: tables, JSON and Go templates of
// --format, and sizes, ages and ids as people read them. It owns the meaning of
// --format; which columns a command has is the command's matter.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Options says how List shows its rows.
type Options struct {
	// Format is the user's --format: empty, json, "table", "table TEMPLATE" or
	// TEMPLATE.
	Format string
	// DefaultTable are the columns without --format: "{{.ID}}\t{{.Names}}".
	DefaultTable string
	// Headers overrides headings that do not follow from the field's name.
	Headers map[string]string
	// NoHeading leaves out the heading line.
	NoHeading bool
	// Quiet prints QuietTemplate ("{{.ID}}" if empty) of each row, and nothing
	// else. It loses against an explicit Format.
	Quiet         bool
	QuietTemplate string
	// JSONValue, if not nil, is what json prints instead of the rows.
	JSONValue any
}

// List prints rows as o asks. Nothing is printed when the template fails.
func List[T any](w io.Writer, rows []T, o Options) error {
	format := o.Format
	if format == "" && o.Quiet {
		format = "{{.ID}}"
		if o.QuietTemplate != "" {
			format = o.QuietTemplate
		}
	}
	if IsJSON(format) {
		if o.JSONValue != nil {
			return JSON(w, o.JSONValue)
		}
		if rows == nil {
			rows = []T{}
		}
		return JSON(w, rows)
	}
	columns, table := tableColumns(format, o.DefaultTable)
	if table {
		return writeTable(w, rows, columns, o)
	}
	t, err := Parse(format)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if t.ranges {
		if err := t.render(&out, rows); err != nil {
			return err
		}
		if out.Len() > 0 && out.Bytes()[out.Len()-1] != '\n' {
			out.WriteByte('\n')
		}
		_, err = w.Write(out.Bytes())
		return err
	}
	for i := range rows {
		if err := t.Execute(&out, rows[i]); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		if err := t.check(*new(T)); err != nil {
			return err
		}
	}
	_, err = w.Write(out.Bytes())
	return err
}

// Value prints one value: JSON for "" and json, else the template.
func Value(w io.Writer, v any, format string) error {
	if format == "" || IsJSON(format) {
		return JSON(w, v)
	}
	if columns, table := tableColumns(format, ""); table {
		format = columns
	}
	t, err := Parse(format)
	if err != nil {
		return err
	}
	return t.Execute(w, v)
}

// Values prints what inspect prints: one JSON array for "" and json, else the
// template of each value.
func Values[T any](w io.Writer, values []T, format string) error {
	if format == "" || IsJSON(format) {
		if values == nil {
			values = []T{}
		}
		return JSON(w, values)
	}
	if columns, table := tableColumns(format, ""); table {
		format = columns
	}
	t, err := Parse(format)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for i := range values {
		if err := t.Execute(&out, values[i]); err != nil {
			return err
		}
	}
	_, err = w.Write(out.Bytes())
	return err
}

// IsJSON tells whether format asks for JSON.
func IsJSON(format string) bool {
	f := strings.ReplaceAll(format, " ", "")
	return f == "json" || f == "{{json.}}"
}

// JSON prints v indented by four spaces, with <, > and & as they are.
func JSON(w io.Writer, v any) error {
	return encode(w, v, "    ")
}

// JSONLine prints v as one line.
func JSONLine(w io.Writer, v any) error {
	return encode(w, v, "")
}

func encode(w io.Writer, v any, indent string) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode as JSON: %w", err)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// tableColumns returns the columns of a table format, and whether it is one.
func tableColumns(format, def string) (string, bool) {
	switch {
	case format == "" || strings.TrimSpace(format) == "table":
		return def, true
	case strings.HasPrefix(format, "table"):
		rest := format[len("table"):]
		if !unicode.IsSpace(rune(rest[0])) && !strings.HasPrefix(rest, `\t`) {
			return "", false
		}
		return spaceToTab(unescape(strings.TrimSpace(rest))), true
	}
	return "", false
}

func writeTable[T any](w io.Writer, rows []T, columns string, o Options) error {
	t, err := Parse(columns)
	if err != nil {
		return err
	}
	var cells, all bytes.Buffer
	if !o.NoHeading {
		fmt.Fprintln(&all, t.heading(o.Headers))
	}
	if len(rows) == 0 {
		if err := t.check(*new(T)); err != nil {
			return err
		}
	}
	for i := range rows {
		cells.Reset()
		if err := t.render(&cells, rows[i]); err != nil {
			return err
		}
		all.WriteString(printable(cells.String()))
		all.WriteByte('\n')
	}
	return align(w, all.Bytes())
}

// Printable is s on one line and harmless to the terminal: what containers,
// images and processes are called is what strangers made of it.
func Printable(s string) string {
	return strings.ReplaceAll(printable(s), "\t", " ")
}

// printable keeps a row of a table on its line and the terminal as it is:
// names and labels come from images, which strangers make.
func printable(row string) string {
	row = strings.TrimRight(strings.ToValidUTF8(row, "?"), "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r == '\n' || r == '\v' || r == '\f' || r == '\r':
			return ' '
		case unicode.IsControl(r):
			return '?'
		}
		return r
	}, row)
}
