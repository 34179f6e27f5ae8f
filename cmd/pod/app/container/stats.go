package container

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/stats"
)

// statsTable are the columns without --format, and their headings.
const statsTable = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDS}}\t{{.UpTime}}\t{{.AVGCPU}}"

func statsHeaders() map[string]string {
	return map[string]string{
		"CPUPerc": "CPU %", "AVGCPU": "AVG CPU %", "MemUsage": "MEM USAGE / LIMIT", "MemUsageBytes": "MEM USAGE / LIMIT",
		"MemPerc": "MEM %", "NetIO": "NET IO", "BlockIO": "BLOCK IO", "PIDS": "PIDS", "UpTime": "CPU TIME",
	}
}

type statsOptions struct {
	all, latest, noReset, noStream, noTrunc bool
	format                                  string
	interval                                int
}

func newStats(a *cli.App) *cobra.Command {
	var opts statsOptions
	cmd := &cobra.Command{
		Use: "stats [options] [CONTAINER...]", Short: "Display a live stream of container resource usage statistics",
		Long: "Shows how much processor, memory, network and block I/O containers use: all that run, or those named. " +
			"Where the user has no cgroup controllers, the processes of a container are summed up; what is unknown is --.\n\n" +
			"On a terminal it is a live view: keys sort (←→, or the letters in the last line), scroll and pause it; q ends it. " +
			"In a pipe, and with --format, --no-reset or --no-stream, tables are printed.",
		Example: "  pod stats\n  pod stats --no-stream --format json web\n  pod stats --format '{{.Name}} {{.CPUPerc}}'",
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Show all containers. Only running containers are shown by default")
	fs.StringVar(&opts.format, "format", "", "Pretty-print container statistics to JSON or using a Go template")
	fs.IntVarP(&opts.interval, "interval", "i", 5, "Time in seconds between stats reports")
	flag.Latest(fs, &opts.latest)
	fs.BoolVar(&opts.noReset, "no-reset", false, "Disable resetting the screen between intervals")
	fs.BoolVar(&opts.noStream, "no-stream", false, "Disable streaming stats and only pull the first result")
	fs.BoolVar(&opts.noTrunc, "no-trunc", false, "Do not truncate output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runStats(cmd.Context(), a, &opts, args) }
	return cmd
}

func (o *statsOptions) check(args []string) error {
	picks := 0
	for _, used := range []bool{o.all, o.latest, len(args) > 0} {
		if used {
			picks++
		}
	}
	if picks > 1 {
		return errors.New("--all, --latest and containers cannot be used together")
	}
	if o.interval < 1 {
		return fmt.Errorf("invalid interval %d: it must be at least 1 second", o.interval)
	}
	return nil
}

func runStats(ctx context.Context, a *cli.App, opts *statsOptions, args []string) error {
	if err := opts.check(args); err != nil {
		return err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if opts.latest {
		c, err := e.Latest(ctx)
		if err != nil {
			return err
		}
		args = []string{c.ID}
	}
	var resting []stats.Sample
	targets := func(ctx context.Context) ([]stats.Target, error) {
		var running []stats.Target
		running, resting, err = statsOf(ctx, e, opts.all, args)
		return running, err
	}
	interval := time.Duration(opts.interval) * time.Second
	if opts.live(a) {
		shown := statsView{full: opts.noTrunc}
		before := map[string]stats.Sample{}
		return live(ctx, a, interval, "CPU %", func(ctx context.Context) (view.Frame, error) {
			now, err := targets(ctx)
			if err != nil {
				return view.Frame{}, err
			}
			samples, err := (&stats.Collector{}).Collect(ctx, now)
			return shown.frame(samples, resting, before), err
		})
	}
	rows := func(samples []stats.Sample, before map[string]stats.Sample) []statsRow {
		return statsRows(append(samples, resting...), before, opts.noTrunc)
	}
	return streamStats(ctx, a, opts, (&stats.Collector{}).Samples(ctx, interval, targets), rows)
}

// streamStats prints tables, one over the other on a terminal.
func streamStats(ctx context.Context, a *cli.App, opts *statsOptions, all iter.Seq2[[]stats.Sample, error], rowsOf func([]stats.Sample, map[string]stats.Sample) []statsRow) error {
	clear := !opts.noReset && !opts.noStream && !output.IsJSON(opts.format) && view.IsTerminal(a.Out)
	before := map[string]stats.Sample{}
	for samples, err := range all {
		if err != nil {
			return err
		}
		rows := rowsOf(samples, before)
		if clear {
			fmt.Fprint(a.Out, "\x1b[2J\x1b[H") // clear, and to the first line
		}
		if err := output.List(a.Out, rows, output.Options{Format: opts.format, DefaultTable: statsTable, Headers: statsHeaders(), JSONValue: statsJSON(rows)}); err != nil {
			return err
		}
		if opts.noStream {
			return nil
		}
	}
	return ctx.Err()
}

// live says whether the user looks on: with --format or --no-reset it is a program
// or a log.
func (o *statsOptions) live(a *cli.App) bool {
	return o.format == "" && !o.noReset && !o.noStream && view.CanLive(a.In, a.Out)
}

// statsOf lists what to measure, and what is shown although it does not run.
func statsOf(ctx context.Context, e *libpod.Engine, all bool, names []string) ([]stats.Target, []stats.Sample, error) {
	if all {
		list, err := e.List(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		if len(list) == 0 {
			return nil, nil, nil
		}
		for _, c := range list {
			names = append(names, c.ID)
		}
	}
	targets, rest, err := e.StatTargets(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	var resting []stats.Sample
	for _, c := range rest {
		resting = append(resting, stats.Sample{Target: stats.Target{ID: c.ID, Name: c.Name}})
	}
	return targets, resting, nil
}

// statsRows makes rows, with the use of processor since the samples before.
func statsRows(samples []stats.Sample, before map[string]stats.Sample, full bool) []statsRow {
	rows := make([]statsRow, 0, len(samples))
	for _, s := range samples {
		row := statsRow{sample: s, full: full, ContainerStats: containerStats(&s)}
		if earlier, ok := before[s.ID]; ok && s.CPU.Known {
			row.CPU = s.CPUPercent(&earlier)
		}
		before[s.ID] = s
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b statsRow) int { return a.sample.Started.Compare(b.sample.Started) })
	return rows
}

// ContainerStats are the numbers of a template, by the field's names.
type ContainerStats struct { //nolint:revive // templates of the field say {{.ContainerStats.Name}}
	AvgCPU        float64
	ContainerID   string
	Name          string
	CPU           float64
	CPUNano       uint64
	CPUSystemNano uint64
	SystemNano    uint64
	MemLimit      uint64
	Network       map[string]stats.Interface
	BlockInput    uint64
	BlockOutput   uint64
	PIDs          uint64
	UpTime        time.Duration
	Duration      uint64
}

func containerStats(s *stats.Sample) ContainerStats {
	now := uint64(max(s.Time.UnixNano(), 0)) //nolint:gosec // not negative
	c := ContainerStats{
		ContainerID: s.ID, Name: s.Name, CPUNano: s.CPU.N, CPUSystemNano: s.CPUSystem.N, SystemNano: now,
		MemLimit: s.MemoryLimit.N, Network: s.Network, BlockInput: s.BlockIn.N, BlockOutput: s.BlockOut.N, PIDs: s.Pids.N,
		UpTime: time.Duration(s.CPU.N), Duration: s.CPU.N, //nolint:gosec // 292 years
	}
	if s.CPU.Known {
		c.AvgCPU = s.CPUPercent(nil)
		c.CPU = c.AvgCPU
	}
	return c
}

// statsRow is a line: its methods are what people read.
type statsRow struct {
	ContainerStats
	sample stats.Sample
	full   bool
}

const unknown = "--"

func percentOf(f float64, known bool) string {
	if !known {
		return unknown
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + "%"
}

func pairOf(a, b stats.Value, show func(float64) string) string {
	one := func(v stats.Value) string {
		if !v.Known {
			return unknown
		}
		return show(float64(v.N))
	}
	return one(a) + " / " + one(b)
}

// ID is short unless --no-trunc.
func (r statsRow) ID() string {
	if r.full {
		return r.ContainerID
	}
	return output.ShortID(r.ContainerID)
}

// CPUPerc is the use of processor since the line before; 100 is one processor.
func (r statsRow) CPUPerc() string { return percentOf(r.CPU, r.sample.CPU.Known) }

// AVGCPU is the use of processor since the start.
func (r statsRow) AVGCPU() string { return percentOf(r.AvgCPU, r.sample.CPU.Known) }

// MemUsage is memory and limit in units of 1000.
func (r statsRow) MemUsage() string {
	return pairOf(r.sample.Memory, r.sample.MemoryLimit, units.HumanSize)
}

// MemUsageBytes is memory and limit in units of 1024.
func (r statsRow) MemUsageBytes() string {
	return pairOf(r.sample.Memory, r.sample.MemoryLimit, units.BytesSize)
}

// MemPerc is the part of the limit.
func (r statsRow) MemPerc() string {
	return percentOf(r.sample.MemoryPercent(), r.sample.Memory.Known && r.sample.MemoryLimit.Known)
}

// NetIO is what was received and sent.
func (r statsRow) NetIO() string { return pairOf(r.sample.NetIn, r.sample.NetOut, units.HumanSize) }

// BlockIO is what was read and written.
func (r statsRow) BlockIO() string {
	return pairOf(r.sample.BlockIn, r.sample.BlockOut, units.HumanSize)
}

// PIDS is the number of processes and threads.
func (r statsRow) PIDS() string {
	if !r.sample.Pids.Known {
		return unknown
	}
	return strconv.FormatUint(r.PIDs, 10)
}

// Up is the processor time, as UpTime.
func (r statsRow) Up() string { return strings.TrimSpace(r.UpTime.String()) }

// statsEntry is a line as JSON.
type statsEntry struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	CPUTime    string `json:"cpu_time"`
	CPUPercent string `json:"cpu_percent"`
	AverageCPU string `json:"avg_cpu"`
	MemUsage   string `json:"mem_usage"`
	MemPercent string `json:"mem_percent"`
	NetIO      string `json:"net_io"`
	BlockIO    string `json:"block_io"`
	Pids       string `json:"pids"`
}

func statsJSON(rows []statsRow) []statsEntry {
	entries := make([]statsEntry, 0, len(rows))
	for _, r := range rows {
		entries = append(entries, statsEntry{
			r.ID(), r.Name, r.Up(), r.CPUPerc(), r.AVGCPU(), r.MemUsage(), r.MemPerc(), r.NetIO(), r.BlockIO(), r.PIDS(),
		})
	}
	return entries
}
