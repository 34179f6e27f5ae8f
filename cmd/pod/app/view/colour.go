package view

import (
	"fmt"
	"io"
	"os"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/NimbleMarkets/ntcharts/v2/barchart"
	"github.com/charmbracelet/colorprofile"

	"github.com/rootless-pod/pod/pkg/events"
)

// Event is an event's line in colours: a faint time, a kind of happening by its
// colour, what went wrong in red. Without the colours it is the line.
func Event(e *events.Event, truncate bool) string {
	line := e.Line(truncate)
	at, rest, found := strings.Cut(line, fmt.Sprintf(" %s %s", e.Type, e.Status))
	if !found {
		return line
	}
	kind := lipgloss.NewStyle().Foreground(lipgloss.Cyan).Render(string(e.Type))
	status := statusStyle(e).Render(string(e.Status))
	if before, problem, found := strings.Cut(rest, " error: "); found && e.Error != "" {
		rest = before + lipgloss.NewStyle().Foreground(lipgloss.Red).Render(" error: "+problem)
	}
	return faint().Render(at) + " " + kind + " " + status + rest
}

func statusStyle(e *events.Event) lipgloss.Style {
	style := lipgloss.NewStyle().Bold(true)
	switch e.Status {
	case events.Create, events.Start, events.Restart, events.Unpause, events.Restore:
		return style.Foreground(lipgloss.Green)
	case events.Died, events.ExecDied:
		if e.ExitCode != nil && *e.ExitCode == 0 {
			return style
		}
		return style.Foreground(lipgloss.Red)
	case events.Kill, events.Stop, events.Pause:
		return style.Foreground(lipgloss.Yellow)
	case events.HealthStatus:
		if e.Health == "healthy" {
			return style.Foreground(lipgloss.Green)
		}
		return style.Foreground(lipgloss.Red)
	case events.Remove, events.Prune:
		return style.Foreground(lipgloss.Magenta)
	}
	return style.Foreground(lipgloss.Blue)
}

// Colours writes to a terminal what it can show of the colours.
func Colours(out io.Writer) io.Writer {
	profile := colorprofile.Env(os.Environ())
	if !Colour(out) {
		profile = colorprofile.NoTTY // not even what is no colour, such as bold
	}
	return &colorprofile.Writer{Forward: out, Profile: profile}
}

// Bar is a part that is used and one that could be freed.
type Bar struct{ Used, Free float64 }

func used() lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Green) }

func free() lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Yellow) }

// Bars draws a bar a line, all to one scale: used parts green, free ones yellow.
func Bars(bars []Bar, width int) []string {
	if len(bars) == 0 || width <= 0 {
		return make([]string, len(bars))
	}
	highest := 0.0
	data := make([]barchart.BarData, len(bars))
	for i, b := range bars {
		highest = max(highest, b.Used+b.Free)
		data[i] = barchart.BarData{Values: []barchart.BarValue{
			{Name: "used", Value: b.Used, Style: used()},
			{Name: "free", Value: b.Free, Style: free()},
		}}
	}
	if highest == 0 {
		return make([]string, len(bars))
	}
	chart := barchart.New(
		width, len(bars), barchart.WithHorizontalBars(), barchart.WithNoAxis(), barchart.WithBarGap(0),
		barchart.WithNoAutoBarWidth(), barchart.WithBarWidth(1), barchart.WithNoAutoMaxValue(), barchart.WithMaxValue(highest),
		barchart.WithDataSet(data),
	)
	chart.Draw()
	return strings.Split(chart.View(), "\n")
}

const (
	barsWidth = 30 // no more, and
	barsLeast = 8  // no fewer cells
)

// BesideTable prints a table whose first line has headings, with bars beside its
// lines if the terminal has room for them.
func BesideTable(out io.Writer, table string, bars []Bar) error {
	lines := strings.Split(strings.TrimRight(table, "\n"), "\n")
	wide := 0
	for _, line := range lines {
		wide = max(wide, lipgloss.Width(line))
	}
	if width := min(Width(out)-wide-gap, barsWidth); width >= barsLeast && len(lines) == len(bars)+1 {
		legend := used().Render("█") + " in use  " + free().Render("█") + " reclaimable"
		if !Colour(out) {
			legend = "" // the parts of a bar could not be told
		}
		drawn := Bars(bars, width)
		for i := range lines {
			lines[i] += strings.Repeat(" ", wide+gap-lipgloss.Width(lines[i]))
			if i > 0 {
				lines[i] = lines[i] + drawn[i-1]
				continue
			}
			lines[i] += legend
		}
	}
	_, err := fmt.Fprintln(Colours(out), strings.Join(lines, "\n"))
	return err
}
