package container

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/libpod"
)

type topOptions struct{ latest, list bool }

func newTop(a *cli.App) *cobra.Command {
	var opts topOptions
	cmd := &cobra.Command{
		Use: "top [options] CONTAINER [FORMAT-DESCRIPTORS|ARGS...]", Short: "Display the running processes of a container",
		Long: "Shows the processes of a container as they look from inside it. Columns are chosen by descriptors:\n" +
			strings.Join(libpod.TopDescriptors(), ", ") + ".\n" +
			"Arguments of ps(1) that choose columns work too: aux, -ef, -o LIST. pod reads the columns itself.",
		Example: "  pod top web\n  pod top web pid,user,args\n  pod top web -o pid,etime,comm",
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	flag.Latest(fs, &opts.latest)
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
	rows, err := e.Top(ctx, name, args)
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(a.Out, 5, 1, 3, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// printable keeps what processes call themselves from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
