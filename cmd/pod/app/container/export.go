package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func newExport(a *cli.App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "export [options] CONTAINER", Short: "Export container's filesystem contents as a tar archive",
		Long:    "Writes the container's file system, without its volumes and other mounts, as a tar archive. `pod import` makes an image of it.",
		Example: "  pod export --output web.tar web\n  pod export web | tar t", Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "Write to a specified file (default: stdout, which must be redirected)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runExport(cmd.Context(), a, args[0], output) }
	return cmd
}

func runExport(ctx context.Context, a *cli.App, name, output string) (err error) {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if output == "" {
		if out, ok := a.Out.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
			return errors.New("refusing to export to terminal. Use -o flag or redirect")
		}
		return e.Export(ctx, name, a.Out)
	}
	c, err := e.Lookup(ctx, name) // before a file is made for it
	if err != nil {
		return err
	}
	return writeTo(output, a.FileMode(), func(w io.Writer) error { return e.Export(ctx, c.ID, w) })
}

// writeTo writes a file that is there whole or not at all; what cannot be
// replaced, a device or a FIFO, is written to.
func writeTo(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	info, statErr := os.Stat(path)
	plain := errors.Is(statErr, os.ErrNotExist) || statErr == nil && info.Mode().IsRegular()
	name, flags := path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	if plain {
		// The directory may be everybody's, and a link planted in it by this name.
		name, flags = fmt.Sprintf("%s.pod-%d", path, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_EXCL
		_ = os.Remove(name)
	}
	f, err := os.OpenFile(name, flags, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = errors.Join(write(f), f.Close())
	if !plain {
		return err
	}
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		_ = os.Remove(name) // the first error is what matters
	}
	return err
}
