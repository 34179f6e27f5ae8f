package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/internal/timeparse"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/logs"
)

type logsOptions struct {
	color, follow, latest, names, timestamps bool
	since, until                             string
	tail                                     int64
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
	flag.Unsupported(fs, "details")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogs(cmd.Context(), a, &opts, args) }
	return cmd
}

func runLogs(ctx context.Context, a *cli.App, opts *logsOptions, args []string) error {
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
	containers := make([]*state.Container, 0, len(names))
	for _, name := range names {
		c, err := e.Lookup(ctx, name)
		if err != nil {
			return err
		}
		containers = append(containers, c)
	}
	if len(containers) == 0 {
		return errors.New("logs needs at least one container name or ID")
	}
	group, ctx := errgroup.WithContext(ctx)
	if !opts.follow {
		group.SetLimit(1) // one container after the other
	}
	r := &logReader{app: a, engine: e, read: read, timestamps: opts.timestamps}
	for i, c := range containers {
		group.Go(func() error { return r.show(ctx, c, prefix(c, i, len(containers), opts)) })
	}
	return group.Wait()
}

// prefix tells several containers apart.
func prefix(c *state.Container, index, count int, opts *logsOptions) string {
	if !opts.names && !opts.color && count == 1 {
		return ""
	}
	text := c.ID[:12]
	if opts.names {
		text = c.Name
	}
	if opts.color {
		return fmt.Sprintf("\x1b[3%dm%s\x1b[0m ", 1+index%6, text)
	}
	return text + " "
}

// logReader shows the logs of several containers.
type logReader struct {
	app        *cli.App
	engine     *libpod.Engine
	read       logs.Options
	timestamps bool
	line       sync.Mutex
}

func (r *logReader) show(ctx context.Context, c *state.Container, prefix string) error {
	path, err := r.engine.LogPath(c)
	if err != nil {
		return err
	}
	read := r.read
	if read.Follow {
		ended := make(chan struct{})
		read.Ended = ended
		go func() {
			defer close(ended)
			_ = r.engine.LogEnded(ctx, c)
		}()
	}
	printer := logs.Printer{
		Out: locked{r.app.Out, &r.line}, Err: locked{r.app.Err, &r.line}, Timestamps: r.timestamps, Prefix: prefix,
	}
	source := logs.Source{Driver: c.Spec.Log.Driver, Path: path, ID: c.ID, HostUID: r.app.HostUID()}
	return logs.Read(ctx, source, read, printer.Print)
}

// locked keeps lines of several containers whole.
type locked struct {
	w  io.Writer
	mu *sync.Mutex
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
