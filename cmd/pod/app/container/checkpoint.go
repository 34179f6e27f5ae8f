package container

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/specgen"
)

type checkpointOptions struct {
	selection
	libpod.CheckpointOptions
	stats bool
}

func newCheckpoint(a *cli.App) *cobra.Command {
	var opts checkpointOptions
	cmd := &cobra.Command{
		Use: "checkpoint [options] CONTAINER [CONTAINER...]", Short: "Checkpoint one or more containers",
		Long: "Writes the processes of running containers to files (CRIU), from which `pod container restore` lets them go on. For root only. " +
			"An archive of --export is sealed: only a store with the same key takes it.",
		Example: "  pod container checkpoint web\n  pod container checkpoint --export web.tar.zst web",
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Checkpoint all running containers")
	fs.StringVarP(&opts.Compress, "compress", "c", "zstd", "Select compression algorithm (gzip, none, zstd) for checkpoint archive.")
	fs.StringVarP(&opts.Export, "export", "e", "", "Export the checkpoint image to a tar.gz")
	fs.BoolVar(&opts.FileLocks, "file-locks", false, "Checkpoint a container with file locks")
	fs.BoolVar(&opts.IgnoreRootfs, "ignore-rootfs", false, "Do not include root file-system changes when exporting")
	fs.BoolVar(&opts.IgnoreVolumes, "ignore-volumes", false, "Do not export volumes associated with container")
	fs.BoolVarP(&opts.Keep, "keep", "k", false, "Keep all temporary checkpoint files")
	flag.Latest(fs, &opts.latest)
	fs.BoolVarP(&opts.LeaveRunning, "leave-running", "R", false, "Leave the container running after writing checkpoint to disk")
	fs.BoolVar(&opts.stats, "print-stats", false, "Display checkpoint statistics")
	fs.BoolVar(&opts.TCPEstablished, "tcp-established", false, "Checkpoint a container with established TCP connections")
	flag.UnsupportedSince(fs, "an image has no seal; use --export", "create-image")
	flag.UnsupportedSince(fs, wholeOnly, "pre-checkpoint", "with-previous")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runCheckpoint(cmd.Context(), a, cmd.Flags(), &opts, args)
	}
	return cmd
}

func runCheckpoint(ctx context.Context, a *cli.App, fs *pflag.FlagSet, opts *checkpointOptions, args []string) error {
	if opts.Export == "" {
		for _, name := range []string{"compress", "ignore-rootfs", "ignore-volumes"} {
			if fs.Changed(name) {
				return fmt.Errorf("--%s can only be used with --export", name)
			}
		}
	}
	if a.Session().Rootless {
		return errors.New("checkpointing a container requires root: CRIU cannot do it for an ordinary user; run pod as root")
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	names, err := opts.names(ctx, e, args, func(s libpod.Status) bool { return s == libpod.StatusRunning })
	if err != nil {
		return err
	}
	if opts.Export != "" && len(names) > 1 {
		return errors.New("--export writes the archive of one container: name one only")
	}
	if opts.Export, err = absolute(opts.Export); err != nil {
		return err
	}
	return eachCheckpoint(a, names, "checkpoint", opts.stats, func(name string) (*libpod.CheckpointReport, error) {
		return e.Checkpoint(ctx, name, opts.CheckpointOptions)
	})
}

func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}

// eachCheckpoint does the work for each container, and prints its name or, with
// stats, the numbers of all.
func eachCheckpoint(a *cli.App, names []string, verb string, stats bool, work func(string) (*libpod.CheckpointReport, error)) error {
	begin := time.Now()
	all := []map[string]any{}
	err := many(a, names, func(name string) (string, error) {
		report, err := work(name)
		if err != nil {
			return "", err
		}
		if stats {
			all = append(all, map[string]any{"Id": report.ID, "runtime_" + verb + "_duration": report.Duration.Microseconds(), "criu_statistics": report.CRIU})
			return "", nil
		}
		if name == "" {
			name = report.ID
		}
		return name, nil
	})
	if stats {
		err = errors.Join(err, output.JSON(a.Out, map[string]any{"podman_" + verb + "_duration": time.Since(begin).Microseconds(), "container_statistics": all}))
	}
	return err
}

// wholeOnly is why memory is not written in several steps.
const wholeOnly = "memory is written whole, in one step; use --leave-running for a checkpoint of a container that goes on"

type restoreOptions struct {
	selection
	libpod.RestoreOptions
	publish []string
	stats   bool
}

func newRestore(a *cli.App) *cobra.Command {
	var opts restoreOptions
	cmd := &cobra.Command{
		Use: "restore [options] CONTAINER|IMAGE [CONTAINER|IMAGE...]", Short: "Restore one or more containers from a checkpoint",
		Long: "Lets checkpointed containers go on. For root only. With --import a container is made of an archive that this store, or one with " +
			"the same key, has written; privileges, devices, host paths, ports, limits and annotations are those of this command line, never the archive's.",
		Example: "  pod container restore web\n  pod container restore --import web.tar.zst --name web2",
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Restore all checkpointed containers")
	fs.BoolVar(&opts.FileLocks, "file-locks", false, "Restore a container with file locks")
	fs.BoolVar(&opts.IgnoreRootfs, "ignore-rootfs", false, "Do not apply root file-system changes when importing from exported checkpoint")
	fs.Bool("ignore-static-ip", false, "Ignore IP address set via --static-ip")
	fs.Bool("ignore-static-mac", false, "Ignore MAC address set via --mac-address")
	fs.BoolVar(&opts.IgnoreVolumes, "ignore-volumes", false, "Do not restore volumes associated with container")
	fs.StringVarP(&opts.Import, "import", "i", "", "Restore from exported checkpoint archive (tar.gz)")
	fs.BoolVarP(&opts.Keep, "keep", "k", false, "Keep all temporary checkpoint files")
	flag.Latest(fs, &opts.latest)
	fs.StringVarP(&opts.Name, "name", "n", "", "Specify new name for container restored from exported checkpoint (only works with image or --import)")
	fs.BoolVar(&opts.stats, "print-stats", false, "Display restore statistics")
	fs.StringSliceVarP(&opts.publish, "publish", "p", nil, "Publish a container's port, or range of ports, to the host (default [])")
	fs.BoolVar(&opts.TCPEstablished, "tcp-established", false, "Restore a container with established TCP connections")
	fs.StringVar(&opts.Pod, "pod", "", "Restore container into existing Pod (only works with image or --import)")
	flag.UnsupportedSince(fs, wholeOnly, "import-previous")
	flag.UnsupportedSince(fs, "crun cannot tell CRIU; checkpoint and restore with --tcp-established", "tcp-close")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runRestore(cmd.Context(), a, cmd.Flags(), &opts, args)
	}
	return cli.CompletePod(a, cmd)
}

func runRestore(ctx context.Context, a *cli.App, fs *pflag.FlagSet, opts *restoreOptions, args []string) error {
	importing := opts.Import != ""
	for _, name := range []string{"ignore-rootfs", "ignore-volumes", "name", "pod", "publish", "ignore-static-ip", "ignore-static-mac"} {
		if fs.Changed(name) && !importing {
			return fmt.Errorf("--%s can only be used with image or --import", name)
		}
	}
	if importing && (opts.all || opts.latest || len(args) > 0) {
		return errors.New("--import makes a new container: name none, and leave out --all and --latest")
	}
	if a.Session().Rootless {
		return errors.New("restoring a container requires root: CRIU cannot do it for an ordinary user; run pod as root")
	}
	var err error
	if opts.Publish, err = specgen.ParsePorts(opts.publish); err != nil {
		return err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if importing {
		opts.Image = func(ctx context.Context, name, id string) (specgen.ImageConfig, error) {
			return a.MadeOf(ctx, id, name)
		}
		return eachCheckpoint(a, []string{""}, "restore", opts.stats, func(string) (*libpod.CheckpointReport, error) {
			return e.Import(ctx, opts.RestoreOptions)
		})
	}
	names, err := opts.names(ctx, e, args, func(s libpod.Status) bool { return s == libpod.StatusExited })
	if err != nil {
		return err
	}
	if opts.all {
		if names, err = e.Checkpointed(names); err != nil {
			return err
		}
	}
	return eachCheckpoint(a, names, "restore", opts.stats, func(name string) (*libpod.CheckpointReport, error) {
		return e.Restore(ctx, name, opts.RestoreOptions)
	})
}
