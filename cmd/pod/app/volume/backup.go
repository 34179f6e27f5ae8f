package volume

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func newBackup(a *cli.App) *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use: "backup [options] VOLUME [FILE]", Short: "Back up a volume",
		Long: "Write the content of a volume, with owners, modes, times, attributes, hard links and holes, as a tar archive compressed with zstd " +
			"that ends with a manifest of digests. Containers that may write to the volume are paused meanwhile, or with --live run on. " +
			"Without a file, or with -, it goes to standard output. `pod volume restore` proves it and puts it back.",
		Example: "  pod volume backup data data.tar.zst\n  pod volume backup data | ssh backup 'cat >data.tar.zst'", Args: cobra.RangeArgs(1, 2),
	}
	cmd.Flags().BoolVar(&live, "live", false, "Let containers write meanwhile: files may be torn")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runBackup(cmd.Context(), a, args[0], append(args, "-")[1], live)
	}
	return cmd
}

func runBackup(ctx context.Context, a *cli.App, name, file string, live bool) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	v, err := e.Volume(ctx, name) // before a file is made for it
	if err != nil {
		return noVolume(err)
	}
	return write(a, file, func(w io.Writer) error { return e.BackupVolume(ctx, v.Name, live, w) })
}

func newRestore(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "restore VOLUME [FILE]", Short: "Restore a volume from a backup",
		Long: "Make the content of a backup that of a volume, which is made if it does not exist. What the volume had before stays until the backup is " +
			"unpacked and proven; then it is replaced in one step, or, after an error or a kill, not at all. Containers that use the volume must not run.",
		Example: "  pod volume restore data data.tar.zst\n  pod volume restore copy < data.tar.zst", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRestore(cmd.Context(), a, args[0], append(args, "-")[1])
		},
	}
}

func runRestore(ctx context.Context, a *cli.App, name, file string) error {
	in, err := read(a, file)
	if err != nil {
		return err
	}
	defer in.Close()
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if err := e.RestoreVolume(ctx, name, in); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, name)
	return nil
}
