package container

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/filecopy"
)

func newCp(a *cli.App) *cobra.Command {
	var opts filecopy.Options
	cmd := &cobra.Command{
		Use: "cp [options] [CONTAINER:]SRC_PATH [CONTAINER:]DEST_PATH", Short: "Copy files/folders between a container and the local filesystem",
		Long: "Copies a file or directory between containers and the host; the containers may run or not. With - as one path a tar archive is read from standard input or written to standard output. " +
			"A host path with a colon is written as ./a:b.",
		Example: "  pod cp page.html web:/srv/\n  pod cp web:/var/log/. logs\n  pod cp web:/etc - | tar t",
		Args:    cobra.ExactArgs(2),
	}
	fs := cmd.Flags()
	fs.BoolVarP(&opts.Archive, "archive", "a", true, "Give files copied to a container to the container's user; false keeps their owners")
	fs.BoolVar(&opts.Overwrite, "overwrite", false, "Allow to overwrite directories with non-directories and vice versa")
	// The field takes these two and does nothing with them.
	fs.Bool("extract", false, "Deprecated: has no effect")
	fs.Bool("pause", true, "Deprecated: has no effect")
	fs.Lookup("extract").Hidden, fs.Lookup("pause").Hidden = true, true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.From, opts.To = copyPath(args[0]), copyPath(args[1])
		return runCp(cmd.Context(), a, opts)
	}
	return cmd
}

func runCp(ctx context.Context, a *cli.App, opts filecopy.Options) error {
	opts.In, opts.Out = a.In, a.Out
	if opts.To.Container == "" && opts.To.Path == "-" && view.IsTerminal(a.Out) {
		return errors.New("an archive is not written to a terminal: redirect standard output")
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	return e.Copy(ctx, opts)
}

// copyPath splits CONTAINER:PATH. What begins with a dot or a slash is a path.
func copyPath(arg string) filecopy.Path {
	if strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "/") {
		return filecopy.Path{Path: arg}
	}
	if name, path, ok := strings.Cut(arg, ":"); ok {
		return filecopy.Path{Container: name, Path: path}
	}
	return filecopy.Path{Path: arg}
}
