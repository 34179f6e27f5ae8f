package view

import (
	"slices"

	"charm.land/lipgloss/v2"
	"github.com/NimbleMarkets/ntcharts/v2/sparkline"
)

const (
	gap       = 2  // between columns
	minSpark  = 8  // cells of a sparkline
	maxSpark  = 32 // more would stretch the eye
	minFlex   = 12 // what is left of a column that can be cut
	arrowCell = 1  // a title's arrow
)

// widths says how wide each column is on a terminal: 0 is not shown. What does
// not fit goes by rank; sparklines and columns that can be cut share the rest.
func widths(columns []Column, rows []Row, total int) []int {
	natural := make([]int, len(columns)) // what the column would like
	width := make([]int, len(columns))   // what it gets
	order := make([]int, len(columns))
	for i, c := range columns {
		order[i] = i
		natural[i] = lipgloss.Width(c.Title) + arrowCell
		for _, r := range rows {
			natural[i] = max(natural[i], lipgloss.Width(r.Cells[i].Text))
		}
		switch {
		case c.Spark:
			natural[i] = max(natural[i], maxSpark)
			width[i] = max(lipgloss.Width(c.Title)+arrowCell, minSpark)
		case c.Flex:
			width[i] = min(natural[i], max(minFlex, lipgloss.Width(c.Title)+arrowCell))
		default:
			width[i] = natural[i]
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return columns[a].Rank - columns[b].Rank })
	left := total
	full := false
	for n, i := range order {
		if need := width[i] + gap; !full && (need <= left || n == 0) {
			width[i] = min(width[i], max(left-gap, 1))
			left -= width[i] + gap
			continue
		}
		// What is less important than something that has no room has none either:
		// columns would come and go with their contents.
		full = true
		width[i] = 0
	}
	share(columns, width, natural, left)
	return width
}

// share gives what is left to those that can use it: texts first.
func share(columns []Column, width, natural []int, left int) {
	for i, c := range columns {
		if c.Flex && width[i] > 0 && left > 0 {
			more := min(natural[i]-width[i], left)
			width[i] += more
			left -= more
		}
	}
	for grown := true; grown && left > 0; {
		grown = false
		for i, c := range columns {
			if c.Spark && width[i] > 0 && width[i] < natural[i] && left > 0 {
				width[i]++
				left--
				grown = true
			}
		}
	}
}

// draw makes the sparkline of a series, as wide as it is told.
func draw(s Series, width int, dim bool) string {
	if width <= 0 {
		return ""
	}
	style := s.Tint.style()
	if dim {
		style = faint()
	}
	values := s.Values[max(0, len(s.Values)-width):]
	chart := sparkline.New(width, 1, sparkline.WithStyle(style), sparkline.WithMaxValue(max(s.Floor, 1e-9)))
	chart.PushAll(values)
	chart.DrawColumnsOnly()
	return chart.View()
}

func faint() lipgloss.Style { return lipgloss.NewStyle().Faint(true) }
