package pod

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/stats"
)

const (
	statsTable    = "{{.Pod}}\t{{.CID}}\t{{.Name}}\t{{.CPU}}\t{{.MemUsage}}\t{{.Mem}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDS}}"
	statsInterval = 5 * time.Second
	unknown       = "--"
)

type statsOptions struct {
	all, latest, noReset, noStream bool
	format                         string
}

func newStats(a *cli.App) *cobra.Command {
	var opts statsOptions
	cmd := &cobra.Command{
		Use: "stats [options] [POD...]", Short: "Display a live stream of resource usage statistics for the containers in one or more pods",
		Long:    "Shows how much processor, memory, network and block I/O the containers of pods use: of those that run, or those named.",
		Example: "  pod pod stats --no-stream shop\n  pod pod stats --format json",
	}
	fs := cmd.Flags()
	fs.BoolVarP(&opts.all, "all", "a", false, "Provide stats for all pods")
	fs.StringVar(&opts.format, "format", "", "Pretty-print container statistics to JSON or using a Go template")
	fs.BoolVarP(&opts.latest, "latest", "l", false, "Provide stats on the latest pod pod is aware of")
	fs.BoolVar(&opts.noReset, "no-reset", false, "Disable resetting the screen when streaming")
	fs.BoolVar(&opts.noStream, "no-stream", false, "Disable streaming stats and only pull the first result")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runStats(cmd.Context(), a, &opts, args) }
	return cmd
}

func runStats(ctx context.Context, a *cli.App, opts *statsOptions, args []string) error {
	picks := 0
	for _, used := range []bool{opts.all, opts.latest, len(args) > 0} {
		if used {
			picks++
		}
	}
	if picks > 1 {
		return errors.New("--all, --latest and arguments cannot be used together")
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if opts.latest {
		p, err := e.LatestPod(ctx)
		if err != nil {
			return err
		}
		args = []string{p.ID}
	}
	var list []libpod.PodTarget
	targets := func(ctx context.Context) (running []stats.Target, err error) {
		list, err = e.PodTargets(ctx, args, opts.all)
		for _, t := range list {
			if t.Running {
				running = append(running, t.Target)
			}
		}
		return running, err
	}
	clear := !opts.noReset && !opts.noStream && !output.IsJSON(opts.format) && view.IsTerminal(a.Out)
	before := map[string]stats.Sample{}
	for samples, err := range (&stats.Collector{}).Samples(ctx, statsInterval, targets) {
		if err != nil {
			return err
		}
		rows := statsRows(list, samples, before)
		if clear {
			fmt.Fprint(a.Out, "\x1b[2J\x1b[H") // clear, and to the first line
		}
		if err := showStats(a, opts.format, rows); err != nil || opts.noStream {
			return err
		}
	}
	return ctx.Err()
}

func showStats(a *cli.App, format string, rows []statsRow) error {
	return output.List(a.Out, rows, output.Options{Format: format, DefaultTable: statsTable, JSONValue: statsJSON(rows), Headers: map[string]string{
		"CPU": "CPU %", "MemUsage": "MEM USAGE/ LIMIT", "MemUsageBytes": "MEM USAGE/ LIMIT", "Mem": "MEM %", "NetIO": "NET IO", "BlockIO": "BLOCK IO", "PIDS": "PIDS", "CID": "CID",
	}})
}

// statsRows are a row a container, those that do not run included.
func statsRows(list []libpod.PodTarget, samples []stats.Sample, before map[string]stats.Sample) []statsRow {
	byID := make(map[string]stats.Sample, len(samples))
	for _, s := range samples {
		byID[s.ID] = s
	}
	rows := make([]statsRow, 0, len(list))
	for _, t := range list {
		row := statsRow{target: t, sample: byID[t.Target.ID]}
		if s := &row.sample; s.CPU.Known {
			row.cpu = s.CPUPercent(nil)
			if earlier, ok := before[s.ID]; ok {
				row.cpu = s.CPUPercent(&earlier)
			}
			before[s.ID] = *s
		}
		rows = append(rows, row)
	}
	return rows
}

// statsRow is a line: its methods are what people read.
type statsRow struct {
	target libpod.PodTarget
	sample stats.Sample
	cpu    float64
}

// Pod is the short id of the pod.
func (r statsRow) Pod() string { return output.ShortID(r.target.Pod.ID) }

// CID is the short id of the container.
func (r statsRow) CID() string { return output.ShortID(r.target.Target.ID) }

// Name is the container's.
func (r statsRow) Name() string { return r.target.Target.Name }

func percent(f float64, known bool) string {
	if !known {
		return unknown
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + "%"
}

func pair(a, b stats.Value, show func(float64) string) string {
	text := func(v stats.Value) string {
		if !v.Known {
			return unknown
		}
		return show(float64(v.N))
	}
	return text(a) + " / " + text(b)
}

// CPU is the use of processor since the line before; 100 is one processor.
func (r statsRow) CPU() string { return percent(r.cpu, r.sample.CPU.Known) }

// MemUsage is memory and limit in units of 1000, MemUsageBytes in those of 1024.
func (r statsRow) MemUsage() string {
	return pair(r.sample.Memory, r.sample.MemoryLimit, units.HumanSize)
}

// MemUsageBytes is memory and limit in units of 1024.
func (r statsRow) MemUsageBytes() string {
	return pair(r.sample.Memory, r.sample.MemoryLimit, units.BytesSize)
}

// Mem is the part of the limit.
func (r statsRow) Mem() string {
	return percent(r.sample.MemoryPercent(), r.sample.Memory.Known && r.sample.MemoryLimit.Known)
}

// NetIO is what was received and sent.
func (r statsRow) NetIO() string { return pair(r.sample.NetIn, r.sample.NetOut, units.HumanSize) }

// BlockIO is what was read and written.
func (r statsRow) BlockIO() string { return pair(r.sample.BlockIn, r.sample.BlockOut, units.HumanSize) }

// PIDS is the number of processes and threads.
func (r statsRow) PIDS() string {
	if !r.sample.Pids.Known {
		return unknown
	}
	return strconv.FormatUint(r.sample.Pids.N, 10)
}

// statsEntry is a line as JSON; its keys are the field's.
type statsEntry struct{ CPU, MemUsage, MemUsageBytes, Mem, NetIO, BlockIO, PIDS, Pod, CID, Name string }

func statsJSON(rows []statsRow) []statsEntry {
	entries := make([]statsEntry, 0, len(rows))
	for _, r := range rows {
		entries = append(entries, statsEntry{r.CPU(), r.MemUsage(), r.MemUsageBytes(), r.Mem(), r.NetIO(), r.BlockIO(), r.PIDS(), r.Pod(), r.CID(), r.Name()})
	}
	return entries
}
