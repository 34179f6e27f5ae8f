package container

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/timeparse"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/logs"
)

// LogsOptions say what is shown of the logs of containers; pod logs has them too.
type LogsOptions struct {
	color, details, follow, latest, names, timestamps bool
	since, until                                      string
	tail                                              int64
}

// Flags registers the flags that fill o.
func (o *LogsOptions) Flags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.color, "color", false, "Output the containers with different colors in the log")
	fs.BoolVarP(&o.follow, "follow", "f", false, "Follow log output")
	fs.BoolVarP(&o.names, "names", "n", false, "Output the container name in the log")
	fs.StringVar(&o.since, "since", "", "Show logs since TIMESTAMP")
	fs.Int64Var(&o.tail, "tail", -1, "Output the specified number of LINES at the end of the logs")
	fs.BoolVarP(&o.timestamps, "timestamps", "t", false, "Output the timestamps in the log")
	fs.StringVar(&o.until, "until", "", "Show logs until TIMESTAMP")
	fs.BoolVar(&o.details, "details", false, "Show the labels of the log (--log-opt label, labels) before each line")
	_ = fs.MarkHidden("details")
}

func newLogs(a *cli.App) *cobra.Command {
	var opts LogsOptions
	cmd := &cobra.Command{
		Use: "logs [options] CONTAINER [CONTAINER...]", Short: "Fetch the logs of one or more containers",
		Long:    "Prints what containers have written to their output, from the log driver that keeps it.",
		Example: "  pod logs --tail 20 -f web",
	}
	opts.Flags(cmd.Flags())
	cmd.Flags().BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest container")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogs(cmd.Context(), a, &opts, args) }
	return cmd
}

func runLogs(ctx context.Context, a *cli.App, opts *LogsOptions, args []string) error {
	if len(args) == 0 && !opts.latest {
		return errors.New("specify at least one container name or ID to log")
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	names, err := (&selection{latest: opts.latest}).names(ctx, e, args, nil)
	if err != nil {
		return err
	}
	var list []*state.Container
	for _, name := range names {
		c, err := e.Lookup(ctx, name)
		if err != nil {
			return err
		}
		list = append(list, c)
	}
	return opts.Show(ctx, a, e, list)
}

// Show prints the logs of containers.
func (o *LogsOptions) Show(ctx context.Context, a *cli.App, e *libpod.Engine, list []*state.Container) error {
	if len(list) == 0 {
		return nil
	}
	read := logs.Options{Tail: int(o.tail), Follow: o.follow}
	now := time.Now()
	var err error
	if o.since != "" {
		if read.Since, err = timeparse.Parse(o.since, now); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
	}
	if o.until != "" {
		if read.Until, err = timeparse.ParseUntil(o.until, now); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
	}
	r := &logReader{app: a, engine: e, read: read, opts: o}
	for i, c := range list {
		r.add(c, i, len(list))
	}
	return r.show(ctx)
}

// logReader shows the logs of several containers.
type logReader struct {
	app      *cli.App
	engine   *libpod.Engine
	read     logs.Options
	opts     *LogsOptions
	journal  bool // one of them is there
	printers []*logs.Printer
	readers  []logs.Reader
}

// logColor is the field's color of a container.
func logColor(index int) string {
	colors := []int{37, 31, 33, 34, 35, 36, 32}
	return fmt.Sprintf("\x1b[%dm", colors[index%len(colors)])
}

// add adds a container, the index'th of count. Only several need to be told
// apart.
func (r *logReader) add(c *state.Container, index, count int) {
	source := r.engine.LogSource(c)
	r.journal = r.journal || source.Driver == "journald"
	p := &logs.Printer{Out: r.app.Out, Err: r.app.Err, Timestamps: r.opts.timestamps}
	if count > 1 {
		p.Prefix = c.ID[:12] + " "
		if r.opts.names {
			p.Prefix = c.Name + " "
		}
	}
	if r.opts.color {
		p.Color = logColor(index)
	}
	if r.opts.details {
		p.Details = c.Spec.LogDetails()
	}
	r.printers = append(r.printers, p)
	r.readers = append(r.readers, func(ctx context.Context, emit func(logs.Line) error) error {
		read := r.read
		if read.Follow {
			ended := make(chan struct{})
			read.Ended = ended
			go func() {
				defer close(ended)
				_ = r.engine.LogEnded(ctx, c) // canceled, or gone: nothing more comes
			}()
			if count == 1 && !r.journal {
				read.Idle = p.Flush
			}
		}
		return logs.Read(ctx, source, read, emit)
	})
}

func (r *logReader) show(ctx context.Context) error {
	var err error
	switch {
	case len(r.readers) > 1 && r.read.Follow:
		err = logs.Follow(ctx, r.readers, r.flushed)
	case len(r.readers) > 1:
		last := 0
		err = logs.Merge(ctx, r.readers, func(i int, l logs.Line) error {
			if i != last {
				if err := r.printers[last].Flush(); err != nil {
					return err
				}
				last = i
			}
			return r.printers[i].Print(l)
		})
	default:
		emit := r.printers[0].Print
		// The journal does not say when it waits.
		if r.read.Follow && r.journal {
			emit = func(l logs.Line) error { return r.flushed(0, l) }
		}
		err = r.readers[0](ctx, emit)
	}
	for _, p := range r.printers {
		err = errors.Join(err, p.Close())
	}
	return err
}

// flushed prints a line at once.
func (r *logReader) flushed(i int, l logs.Line) error {
	if err := r.printers[i].Print(l); err != nil {
		return err
	}
	return r.printers[i].Flush()
}
