package container

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/stats"
)

// statsView makes the frames of the live view of stats.
type statsView struct {
	history view.History
	full    bool
}

func statsColumns() []view.Column {
	return []view.Column{
		{Title: "NAME", Key: "N", Flex: true},
		{Title: "CPU %", Key: "c", Rank: 1, Right: true},
		{Title: "CPU", Rank: 2, Spark: true},
		{Title: "MEM USAGE / LIMIT", Rank: 8},
		{Title: "MEM %", Key: "m", Rank: 3, Right: true},
		{Title: "MEM", Rank: 4, Spark: true},
		{Title: "NET IO", Key: "n", Rank: 9},
		{Title: "NET", Rank: 5, Spark: true},
		{Title: "BLOCK IO", Key: "i", Rank: 10},
		{Title: "IO", Rank: 6, Spark: true},
		{Title: "PIDS", Key: "p", Rank: 7, Right: true},
		{Title: "ID", Rank: 11},
		{Title: "CPU TIME", Key: "t", Rank: 12, Right: true},
		{Title: "AVG CPU %", Key: "a", Rank: 13, Right: true},
	}
}

// frame shows samples, containers that do not run, and for a short while those
// that have just ended.
func (v *statsView) frame(samples, resting []stats.Sample, before map[string]stats.Sample) view.Frame {
	v.history.Add(samples)
	f := view.Frame{Title: fmt.Sprintf("pod stats: %d running", len(samples)), Columns: statsColumns()}
	for _, row := range statsRows(samples, before, v.full) {
		f.Rows = append(f.Rows, v.row(&row, false))
	}
	known := map[string]bool{}
	for _, row := range statsRows(resting, map[string]stats.Sample{}, v.full) {
		known[row.sample.ID] = true
		f.Rows = append(f.Rows, v.row(&row, true))
	}
	for _, row := range statsRows(v.history.Ended(), map[string]stats.Sample{}, v.full) {
		if !known[row.sample.ID] {
			f.Rows = append(f.Rows, v.row(&row, true))
		}
	}
	return f
}

func (v *statsView) row(r *statsRow, over bool) view.Row {
	s := &r.sample
	cpu, memory, network, block := v.history.Of(s.ID)
	memory.Floor = 4 << 20 // a few kB more or less are no mountain
	return view.Row{Dim: over, Last: over, Cells: []view.Cell{
		view.Text(output.Printable(r.Name)),
		view.Number(r.CPUPerc(), r.CPU), view.Spark(cpu),
		view.Number(r.MemUsage(), float64(s.Memory.N)), view.Number(r.MemPerc(), s.MemoryPercent()), view.Spark(memory),
		view.Number(r.NetIO(), float64(s.NetIn.N+s.NetOut.N)), view.Spark(network),
		view.Number(r.BlockIO(), float64(s.BlockIn.N+s.BlockOut.N)), view.Spark(block),
		view.Number(r.PIDS(), float64(r.PIDs)),
		view.Text(r.ID()),
		view.Number(r.ContainerStats.UpTime.Round(time.Millisecond).String(), float64(s.CPU.N)),
		view.Number(r.AVGCPU(), r.AvgCPU),
	}}
}

// topView makes the frames of the live view of top.
type topView struct {
	engine  *libpod.Engine
	name    string
	wanted  []string
	history view.History
	// last is what was shown when the container still ran.
	last view.Frame
}

// next looks at the container. One that has ended stays, in grey.
func (v *topView) next(ctx context.Context) (view.Frame, error) {
	table, err := v.engine.Top(ctx, v.name, v.wanted)
	if err != nil {
		if len(v.last.Columns) == 0 {
			return view.Frame{}, err
		}
		return ended(v.last), nil
	}
	targets, _, err := v.engine.StatTargets(ctx, []string{v.name})
	if err != nil {
		return view.Frame{}, err
	}
	samples, err := (&stats.Collector{}).Collect(ctx, targets)
	if err != nil {
		return view.Frame{}, err
	}
	v.history.Add(samples)
	v.last = topFrame(table)
	v.last.Title = "pod top: " + v.name
	for i := range samples {
		s := &samples[i]
		v.last.Title = fmt.Sprintf("pod top: %s  %s  %s", output.Printable(s.Name), output.ShortID(s.ID), count(len(v.last.Rows), "process"))
		v.last.Meters = v.meters(s)
	}
	return v.last, nil
}

// meters tell of the container what stats does.
func (v *topView) meters(s *stats.Sample) []view.Meter {
	row := statsRow{sample: *s, ContainerStats: containerStats(s)}
	cpu, memory, network, block := v.history.Of(s.ID)
	if n := len(cpu.Values); n > 0 {
		row.CPU = cpu.Values[n-1]
	}
	return []view.Meter{
		{Name: "CPU", Text: row.CPUPerc(), Series: cpu},
		{Name: "MEM", Text: row.MemUsage(), Series: memory},
		{Name: "NET", Text: row.NetIO(), Series: network},
		{Name: "I/O", Text: row.BlockIO(), Series: block},
	}
}

func ended(f view.Frame) view.Frame {
	rows := make([]view.Row, len(f.Rows))
	for i, r := range f.Rows {
		rows[i] = view.Row{Cells: r.Cells, Dim: true}
	}
	f.Rows, f.Note = rows, "does not run"
	return f
}

// topFrame makes a frame of what Engine.Top found, headings first.
func topFrame(table [][]string) view.Frame {
	rank := map[string]int{"COMMAND": 0, "PID": 1, "%CPU": 2, "USER": 3, "TIME": 4, "ELAPSED": 5, "PPID": 6, "TTY": 7}
	keys := map[string]string{"%CPU": "c", "PID": "p", "TIME": "t", "USER": "u", "VSZ": "m", "ELAPSED": "e"}
	var f view.Frame
	for i, heading := range table[0] {
		c := view.Column{Title: heading, Key: keys[heading], Flex: heading == "COMMAND", Rank: 8 + i}
		if r, known := rank[heading]; known {
			c.Rank = r
		}
		c.Right = strings.HasSuffix(heading, "PID") || heading == "%CPU" || heading == "TIME" || heading == "ELAPSED" || heading == "VSZ"
		f.Columns = append(f.Columns, c)
	}
	for _, texts := range table[1:] {
		var row view.Row
		for _, text := range texts {
			row.Cells = append(row.Cells, view.Text(output.Printable(text)))
		}
		f.Rows = append(f.Rows, row)
	}
	return f
}

// psFrame makes a frame of the table of ps.
func psFrame(columns []column, rows []psRow) view.Frame {
	rank := map[string]int{"Names": 0, "Status": 1, "ID": 2, "Image": 3, "CreatedHuman": 4, "Ports": 5, "Command": 6}
	keys := map[string]string{"Names": "n", "Status": "s", "ID": "i", "Image": "m", "CreatedHuman": "c", "Size": "z"}
	f := view.Frame{Title: "pod ps: " + count(len(rows), "container")}
	for i, c := range columns {
		column := view.Column{Title: c.heading, Key: keys[c.field], Rank: 7 + i, Flex: c.field == "Image" || c.field == "Ports"}
		if r, known := rank[c.field]; known {
			column.Rank = r
		}
		f.Columns = append(f.Columns, column)
	}
	for _, r := range rows {
		row := view.Row{Dim: r.Exited || !strings.HasPrefix(r.Status, "Up")}
		for _, c := range columns {
			cell := view.Text(output.Printable(c.cell(r)))
			switch {
			case c.field == "CreatedHuman":
				cell = view.Number(cell.Text, float64(r.Created.UnixNano()))
			case c.field == "Size" && r.ListContainer.Size != nil:
				cell = view.Number(cell.Text, float64(r.ListContainer.Size.RwSize))
			}
			row.Cells = append(row.Cells, cell)
		}
		f.Rows = append(f.Rows, row)
	}
	return f
}

func count(n int, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "s"):
		what += "es"
	default:
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// live shows frames on the terminal that the command has.
func live(ctx context.Context, a *cli.App, interval time.Duration, sort string, next func(context.Context) (view.Frame, error)) error {
	err := view.Live(ctx, view.Options{In: a.In, Out: a.Out, Interval: interval, Sort: sort, Next: next})
	if ended := (view.Signal{}); errors.As(err, &ended) {
		return &cli.Exit{Code: ended.ExitCode()} // whoever sent it knows why
	}
	return err
}
