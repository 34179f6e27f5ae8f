package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
)

func newExport(a *cli.App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "export [options] VOLUME", Short: "Export volumes",
		Long:    "Write the content of a volume as a tar archive. `pod volume backup` writes one that can be verified.",
		Example: "  pod volume export --output data.tar data\n  pod volume export data | tar t", Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "Write to a specified file (default: stdout, which must be redirected)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runExport(cmd.Context(), a, args[0], output) }
	return cmd
}

func runExport(ctx context.Context, a *cli.App, name, output string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	v, err := e.Volume(ctx, name) // before a file is made for it
	if err != nil {
		return noVolume(err)
	}
	return write(a, output, func(w io.Writer) error { return e.ExportVolume(ctx, v.Name, w) })
}

// write writes an archive to a file, or to standard output.
func write(a *cli.App, output string, archive func(io.Writer) error) error {
	if output != "" && output != "-" {
		return cli.WriteFile(output, a.FileMode(), archive)
	}
	if view.IsTerminal(a.Out) {
		return errors.New("refusing to write an archive to a terminal: name a file, or redirect the output")
	}
	return archive(a.Out)
}

// read opens an archive: a file, or standard input.
func read(a *cli.App, input string) (*os.File, error) {
	if input != "" && input != "-" {
		return os.Open(input)
	}
	if view.IsTerminal(a.In) {
		return nil, errors.New("cannot read an archive from a terminal: name a file, or redirect the input")
	}
	return a.In, nil
}

func newImport(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "import VOLUME [SOURCE]", Short: "Import a tarball contents into a volume",
		Long:    "Unpack a tar archive, plain or compressed, into a volume that exists: files of the same names are replaced, others stay. Without a source, or with -, it is read from standard input.",
		Example: "  pod volume import data data.tar\n  tar c . | pod volume import data -", Args: cobra.RangeArgs(1, 2),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runImport(cmd.Context(), a, args[0], append(args, "-")[1])
	}
	return cmd
}

func runImport(ctx context.Context, a *cli.App, name, source string) error {
	in, err := read(a, source)
	if err != nil {
		return err
	}
	defer in.Close()
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if err := e.ImportVolume(ctx, name, in); err != nil {
		return noVolume(fmt.Errorf("import into volume %s: %w", name, err))
	}
	return nil
}
