package view

import (
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestWidths(t *testing.T) {
	columns := []Column{
		{Title: "NAME", Flex: true},
		{Title: "USE", Rank: 1},
		{Title: "PAST", Rank: 2, Spark: true},
		{Title: "DETAIL", Rank: 3},
	}
	rows := []Row{{Cells: []Cell{Text(strings.Repeat("n", 30)), Text("100.00%"), Spark(Series{}), Text("d")}}}
	for _, tc := range []struct {
		name  string
		total int
		want  []int
	}{
		{"everything", 200, []int{30, 7, 32, 7}},
		{"sparklines shrink", 70, []int{30, 7, 18, 7}},
		{"names are cut", 50, []int{20, 7, 8, 7}},
		{"details go", 40, []int{19, 7, 8, 0}},
		{"sparklines go", 30, []int{19, 7, 0, 0}},
		{"one is left", 12, []int{10, 0, 0, 0}},
		{"nearly nothing", 2, []int{1, 0, 0, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := widths(columns, rows, tc.total); !slices.Equal(got, tc.want) {
				t.Errorf("widths %v, want %v", got, tc.want)
			}
		})
	}
}

func TestDraw(t *testing.T) {
	for _, tc := range []struct {
		name   string
		series Series
		width  int
		want   string
	}{
		{"nothing", Series{}, 4, "    "},
		{"newest at the right", Series{Values: []float64{4, 8}}, 4, "  ▄█"},
		{"the last ones", Series{Values: []float64{8, 8, 8, 2, 4}}, 2, "▄█"},
		{"floor", Series{Values: []float64{5}, Floor: 10}, 1, "▄"},
		{"higher than the floor", Series{Values: []float64{10, 20}, Floor: 10}, 2, "▄█"},
		{"no width", Series{Values: []float64{1}}, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ansi.Strip(draw(tc.series, tc.width, false)); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	for _, pair := range [][2]Cell{
		{Text("9"), Text("10")},
		{Text("9.5%"), Text("12%")},
		{Text("59s"), Text("1m2s")},
		{Text("Alpha"), Text("beta")},
		{Text("?"), Text("0")},
		{Number("2kB", 2000), Number("1MB", 1e6)},
	} {
		if pair[0].compare(&pair[1]) >= 0 || pair[1].compare(&pair[0]) <= 0 || pair[0].compare(&pair[0]) != 0 {
			t.Errorf("%q is not before %q", pair[0].Text, pair[1].Text)
		}
	}
}
