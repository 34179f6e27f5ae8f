package container

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/libpod"
)

type topOptions struct {
	latest, list, noStream bool
	format                 string
	interval               uint
}

func newTop(a *cli.App) *cobra.Command {
	var opts topOptions
	cmd := &cobra.Command{
		Use: "top [options] CONTAINER [FORMAT-DESCRIPTORS|ARGS...]", Short: "Display the running processes of a container",
		Long: "Shows the processes of a container as they look from inside it. Columns are chosen by descriptors:\n" +
			strings.Join(libpod.TopDescriptors(), ", ") + ".\n" +
			"Arguments of ps(1) that choose columns work too: aux, -ef, -o LIST. pod reads the columns itself.\n\n" +
			"On a terminal it is a live view, with what the whole container uses; keys sort (←→), scroll and pause it, q ends it. " +
			"In a pipe, with --no-stream or --format the processes are printed once.",
		Example: "  pod top web\n  pod top --no-stream web\n  pod top web pid,user,args\n  pod top web -o pid,etime,comm",
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	flag.Latest(fs, &opts.latest)
	fs.StringVar(&opts.format, "format", "", "Print the processes as json, or as table")
	fs.UintVarP(&opts.interval, "interval", "i", 2, "Time in seconds between looks, on a terminal")
	fs.BoolVar(&opts.noStream, "no-stream", false, "Print the processes once, on a terminal too")
	fs.BoolVar(&opts.list, "list-descriptors", false, "List the descriptors")
	_ = fs.MarkHidden("list-descriptors")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runTop(cmd.Context(), a, &opts, args) }
	return cmd
}

func runTop(ctx context.Context, a *cli.App, opts *topOptions, args []string) error {
	if opts.list {
		fmt.Fprintln(a.Out, strings.Join(libpod.TopDescriptors(), "\n"))
		return nil
	}
	if len(args) == 0 && !opts.latest {
		return errors.New("you must provide the name or id of a running container, or --latest")
	}
	if opts.interval == 0 {
		return errors.New("invalid interval 0: it must be at least 1 second")
	}
	if opts.format != "" && opts.format != "table" && !output.IsJSON(opts.format) {
		return fmt.Errorf("invalid format %q: use json or table", opts.format)
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	name := ""
	if opts.latest {
		c, err := e.Latest(ctx)
		if err != nil {
			return err
		}
		name = c.ID
	} else {
		name, args = args[0], args[1:]
	}
	if !opts.noStream && opts.format == "" && view.CanLive(a.In, a.Out) {
		top := topView{engine: e, name: name, wanted: args}
		return live(ctx, a, time.Duration(opts.interval)*time.Second, "%CPU", top.next) //nolint:gosec // seconds
	}
	rows, err := e.Top(ctx, name, args)
	if err != nil {
		return err
	}
	return printTop(a, rows, output.IsJSON(opts.format))
}

func printTop(a *cli.App, rows [][]string, asJSON bool) error {
	if asJSON {
		processes := make([]map[string]string, 0, len(rows))
		for _, row := range rows[1:] {
			process := map[string]string{}
			for i, text := range row {
				process[rows[0][i]] = text
			}
			processes = append(processes, process)
		}
		return output.JSON(a.Out, processes)
	}
	return output.Processes(a.Out, rows)
}
