package view

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// Frame is what a live view shows at a moment.
type Frame struct {
	// Title is the first line; Note stands in the last one.
	Title, Note string
	// Meters are lines above the table.
	Meters  []Meter
	Columns []Column
	Rows    []Row
}

// Tint is the colour of a sparkline.
type Tint int

// The tints of what is measured.
const (
	Processor Tint = iota + 1
	Memory
	Network
	Block
)

func (t Tint) style() lipgloss.Style {
	style := lipgloss.NewStyle()
	switch t {
	case Processor:
		return style.Foreground(lipgloss.Green)
	case Memory:
		return style.Foreground(lipgloss.Cyan)
	case Network:
		return style.Foreground(lipgloss.Magenta)
	case Block:
		return style.Foreground(lipgloss.Yellow)
	}
	return style
}

// Meter is a line with a number's name, the number, and its past.
type Meter struct {
	Name, Text string
	Series     Series
}

// Series is the past of a number, the newest value last.
type Series struct {
	Values []float64
	// Floor is a value that fills the sparkline's height if no other is higher.
	Floor float64
	Tint  Tint
}

// Column is a column of the table.
type Column struct {
	Title string
	// Key sorts by this column; none if empty.
	Key string
	// Rank decides what narrow terminals do without: the highest goes first.
	Rank int
	// Spark columns have sparklines, which share the width that is left.
	Spark bool
	// Flex columns are cut before others go, and else get what is left.
	Flex bool
	// Right aligns numbers.
	Right bool
}

// Row is a line of the table.
type Row struct {
	Cells []Cell
	// Dim rows are grey; Last ones stay below the others.
	Dim, Last bool
}

// Cell is a field: text, or a sparkline in a column of these.
type Cell struct {
	Text string
	// Number is what rows are sorted by; without one it is read from the text.
	Number *float64
	Series Series
}

// Text is a cell that is sorted by what it says.
func Text(s string) Cell { return Cell{Text: s} }

// Number is a cell that is sorted by n.
func Number(s string, n float64) Cell { return Cell{Text: s, Number: &n} }

// Spark is a cell with a sparkline. It is sorted by its newest value.
func Spark(s Series) Cell {
	c := Cell{Series: s}
	if n := len(s.Values); n > 0 {
		c.Number = &s.Values[n-1]
	}
	return c
}

// value is what the cell is sorted by, if that is a number.
func (c *Cell) value() (float64, bool) {
	if c.Number != nil {
		return *c.Number, true
	}
	text := strings.TrimSuffix(c.Text, "%")
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, true
	}
	if d, err := time.ParseDuration(text); err == nil {
		return d.Seconds(), true
	}
	return 0, false
}

// compare orders cells: texts by the alphabet, before numbers by size.
func (c *Cell) compare(other *Cell) int {
	a, isNumber := c.value()
	b, otherIs := other.value()
	switch {
	case isNumber && otherIs:
		return cmp.Compare(a, b)
	case isNumber:
		return 1
	case otherIs:
		return -1
	}
	return cmp.Or(cmp.Compare(strings.ToLower(c.Text), strings.ToLower(other.Text)), cmp.Compare(c.Text, other.Text))
}

// sorted returns the rows by a column; those that are to be the last are.
func sorted(rows []Row, column int, down bool) []Row {
	rows = slices.Clone(rows)
	if column < 0 {
		return rows
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		if a.Last != b.Last {
			if a.Last {
				return 1
			}
			return -1
		}
		order := a.Cells[column].compare(&b.Cells[column])
		if down {
			return -order
		}
		return order
	})
	return rows
}

// numeric says whether a column has numbers, which are sorted from the highest.
func numeric(rows []Row, column int) bool {
	for _, r := range rows {
		if _, ok := r.Cells[column].value(); ok {
			return true
		}
	}
	return false
}
