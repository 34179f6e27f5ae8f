package container

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/timeparse"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/logs"
)

type logsOptions struct {
	color, details, follow, latest, names, timestamps bool
	since, until                                      string
	tail                                              int64
}

func newLogs(a *cli.App) *cobra.Command {
	var opts logsOptions
	cmd := &cobra.Command{
		Use: "logs [options] CONTAINER [CONTAINER...]", Short: "Fetch the logs of one or more containers",
		Long:    "Prints what containers have written to their output, from the log driver that keeps it.",
		Example: "  pod logs --tail 20 -f web",
	}
	fs := cmd.Flags()
	fs.BoolVar(&opts.color, "color", false, "Output the containers with different colors in the log")
	fs.BoolVarP(&opts.follow, "follow", "f", false, "Follow log output")
	fs.BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest container")
	fs.BoolVarP(&opts.names, "names", "n", false, "Output the container name in the log")
	fs.StringVar(&opts.since, "since", "", "Show logs since TIMESTAMP")
	fs.Int64Var(&opts.tail, "tail", -1, "Output the specified number of LINES at the end of the logs")
	fs.BoolVarP(&opts.timestamps, "timestamps", "t", false, "Output the timestamps in the log")
	fs.StringVar(&opts.until, "until", "", "Show logs until TIMESTAMP")
	fs.BoolVar(&opts.details, "details", false, "Show the labels of the log (--log-opt label, labels) before each line")
	_ = fs.MarkHidden("details")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogs(cmd.Context(), a, &opts, args) }
	return cmd
}

func runLogs(ctx context.Context, a *cli.App, opts *logsOptions, args []string) error {
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
	read := logs.Options{Tail: int(opts.tail), Follow: opts.follow}
	now := time.Now()
	if opts.since != "" {
		if read.Since, err = timeparse.Parse(opts.since, now); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
	}
	if opts.until != "" {
		if read.Until, err = timeparse.ParseUntil(opts.until, now); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
	}
	r := &logReader{app: a, engine: e, read: read, opts: opts}
	for i, name := range names {
		c, err := e.Lookup(ctx, name)
		if err != nil {
			return err
		}
		r.add(c, i, len(names))
	}
	return r.show(ctx)
}

// logReader shows the logs of several containers.
type logReader struct {
	app      *cli.App
	engine   *libpod.Engine
	read     logs.Options
	opts     *logsOptions
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
