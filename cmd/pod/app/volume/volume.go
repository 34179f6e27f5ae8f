// Package volume holds the commands on volumes.
package volume

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Commands returns `pod volume …`; there are no top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "volume", Short: "Manage volumes",
		Long:    "Make, look at, save and remove volumes: directories for data that outlive their containers.",
		Example: "  pod volume create data\n  pod run -v data:/var/lib/app app\n  pod volume backup data data.tar.zst",
		Args:    cobra.NoArgs,
		RunE:    cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
		"backup": newBackup, "create": newCreate, "exists": newExists, "export": newExport, "import": newImport, "inspect": newInspect, "ls": newList,
		"mount": newMount, "prune": newPrune, "reload": newReload, "restore": newRestore, "rm": newRm, "unmount": newUnmount,
	}), nil
}

// noVolume says an absent volume in the words that all commands but rm have for it.
func noVolume(err error) error {
	var absent state.ErrNoVolume
	if errors.As(err, &absent) {
		return fmt.Errorf("no such volume %s", absent.Name)
	}
	return err
}

func isAbsent(err error) bool {
	var absent state.ErrNoVolume
	return errors.As(err, &absent)
}

func newExists(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "exists VOLUME", Short: "Check if volume exists", Long: "Ends with 0 if the volume exists, and with 1 if not.",
		Example: "  pod volume exists data", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			_, err = e.Volume(cmd.Context(), args[0])
			if isAbsent(err) {
				return cli.Exists(false, nil)
			}
			return cli.Exists(err == nil, err)
		},
	}
}

func newReload(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Reload all volumes from volume plugins",
		Long: "Ask all volume plugins of containers.conf for their volumes, take those up that are new, and forget those that are gone. " +
			"What containers use stays.",
		Example: "  pod volume reload", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runReload(cmd.Context(), a) },
	}
}

func runReload(ctx context.Context, a *cli.App) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	report, err := e.ReloadVolumes(ctx)
	for _, part := range []struct {
		what  string
		names []string
	}{{"Added:", report.Added}, {"Removed:", report.Removed}} {
		if len(part.names) > 0 {
			fmt.Fprintf(a.Out, "%s\n%s\n", part.what, strings.Join(part.names, "\n"))
		}
	}
	return err
}

func newCreate(a *cli.App) *cobra.Command {
	var opts libpod.VolumeOptions
	var labels, options []string
	var uid, gid int
	cmd := &cobra.Command{
		Use: "create [options] [NAME]", Short: "Create a new volume",
		Long: "Make a volume, and print its name. Without a name it gets one, and prune takes it for anonymous.\n" +
			"The driver local makes a directory, or with --opt mounts what type, device and o say as mount(8) has them; " +
			"image makes a volume of --opt image=NAME; others are plugins of containers.conf.",
		Example: "  pod volume create data\n  pod volume create --opt type=tmpfs --opt device=tmpfs --opt o=size=64m,nodev scratch\n" +
			"  pod volume create --opt type=bind --opt device=$PWD/src src",
		Args: cobra.MaximumNArgs(1),
	}
	fs := cmd.Flags()
	fs.StringVarP(&opts.Driver, "driver", "d", "local", "Specify volume driver name")
	fs.IntVar(&gid, "gid", 0, "Set the GID of the volume owner")
	fs.BoolVar(&opts.Ignore, "ignore", false, "Don't fail if volume already exists")
	fs.StringArrayVarP(&labels, "label", "l", nil, "Set metadata for a volume (default [])")
	fs.StringArrayVarP(&options, "opt", "o", nil, "Set driver specific options (default [])")
	fs.IntVar(&uid, "uid", 0, "Set the UID of the volume owner")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			if args[0] == "" {
				return errors.New("the name of a volume cannot be empty: leave it out for a random one")
			}
			opts.Name = args[0]
		}
		var err error
		if opts.Labels, err = flag.KeyValues("label", labels); err != nil {
			return err
		}
		if opts.Options, err = flag.KeyValues("opt", options); err != nil {
			return err
		}
		if fs.Changed("uid") {
			opts.UID = &uid
		}
		if fs.Changed("gid") {
			opts.GID = &gid
		}
		if uid < 0 || gid < 0 {
			return errors.New("--uid and --gid cannot be negative")
		}
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		v, err := e.CreateVolume(cmd.Context(), opts)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.Out, v.Name)
		return nil
	}
	return cmd
}
