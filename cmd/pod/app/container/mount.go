package container

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
)

type mountOptions struct {
	selection
	format  string
	noTrunc bool
}

func newMount(a *cli.App) *cobra.Command {
	var opts mountOptions
	cmd := &cobra.Command{
		Use: "mount [options] [CONTAINER...]", Short: "Mount a working container's root filesystem",
		Long: "Mounts the root file systems of containers and prints where; without a container it lists what is mounted. " +
			"An ordinary user sees the mounts inside of `pod unshare` alone, so there the command belongs.",
		Example: "  pod unshare\n  cd $(pod mount web)",
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Mount all containers")
	flag.DiffFormat(fs, &opts.format)
	flag.Latest(fs, &opts.latest)
	fs.BoolVar(&opts.noTrunc, "no-trunc", false, "Do not truncate output")
	fs.BoolVar(&opts.noTrunc, "notruncate", false, "Do not truncate output")
	_ = fs.MarkHidden("notruncate") // its former name
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runMount(cmd.Context(), a, cmd.CommandPath(), &opts, args)
	}
	return cmd
}

func runMount(ctx context.Context, a *cli.App, command string, opts *mountOptions, args []string) error {
	if s := a.Session(); s.Rootless && !s.Within {
		return fmt.Errorf("cannot run command %q in rootless mode, must execute `pod unshare` first", command)
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if len(args) == 0 && !opts.all && !opts.latest {
		return listMounts(ctx, a, e, opts)
	}
	names, err := opts.names(ctx, e, args, nil)
	if err != nil {
		return err
	}
	alone := len(args) == 1 || opts.latest
	return many(a, names, func(name string) (string, error) {
		path, err := e.Mount(ctx, name)
		if alone || err != nil {
			return path, err
		}
		return mountLine(name, path, opts.noTrunc), nil
	})
}

func mountLine(id, path string, noTrunc bool) string {
	if !noTrunc && len(id) == 64 {
		id = id[:12]
	}
	return fmt.Sprintf("%-12s  %s", id, path)
}

// mountJSON is the field's form of a mounted container.
type mountJSON struct {
	ID         string `json:"id"`
	Names      []string
	Mountpoint string `json:"mountpoint"`
}

func listMounts(ctx context.Context, a *cli.App, e *libpod.Engine, opts *mountOptions) error {
	mounts, err := e.Mounts(ctx)
	if err != nil {
		return err
	}
	if opts.format == "json" {
		rows := make([]mountJSON, 0, len(mounts))
		for _, m := range mounts {
			rows = append(rows, mountJSON{m.ID, []string{m.Name}, m.Path})
		}
		return output.JSON(a.Out, rows)
	}
	for _, m := range mounts {
		fmt.Fprintln(a.Out, mountLine(m.ID, m.Path, opts.noTrunc))
	}
	return nil
}

func newUnmount(a *cli.App) *cobra.Command {
	var sel selection
	var force bool
	cmd := &cobra.Command{
		Use: "unmount [options] CONTAINER [CONTAINER...]", Aliases: []string{"umount"}, Short: "Unmount working container's root filesystem",
		Long:    "Takes back one mount of each container; it is unmounted when its last mount is taken back.",
		Example: "  pod unmount web\n  pod unmount --all",
	}
	fs := cmd.Flags()
	flag.All(fs, &sel.all, "a", "Unmount all of the currently mounted containers")
	fs.BoolVarP(&force, "force", "f", false, "Force the complete unmount of the specified mounted containers")
	flag.Latest(fs, &sel.latest)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runUnmount(cmd.Context(), a, &sel, force, args)
	}
	return cmd
}

func runUnmount(ctx context.Context, a *cli.App, sel *selection, force bool, args []string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	names, err := sel.names(ctx, e, args, func(s libpod.Status) bool { return force || !isUp(s) })
	if err != nil {
		return err
	}
	if sel.all {
		if names, err = mountedOf(ctx, e, names); err != nil {
			return err
		}
	}
	return many(a, names, func(name string) (string, error) {
		c, err := e.Unmount(ctx, name, force)
		if err != nil {
			return "", err
		}
		if sel.all || sel.latest {
			return c.ID, nil
		}
		return name, nil
	})
}

// mountedOf keeps the containers that are mounted.
func mountedOf(ctx context.Context, e *libpod.Engine, ids []string) ([]string, error) {
	mounts, err := e.Mounts(ctx)
	if err != nil {
		return nil, err
	}
	mounted := map[string]bool{}
	for _, m := range mounts {
		mounted[m.ID] = true
	}
	var kept []string
	for _, id := range ids {
		if mounted[id] {
			kept = append(kept, id)
		}
	}
	return kept, nil
}
