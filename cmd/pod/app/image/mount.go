package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type mountOptions struct {
	all    bool
	format string
}

func newMount(a *cli.App) *cobra.Command {
	opts := &mountOptions{}
	cmd := &cobra.Command{
		Use: "mount [options] [IMAGE...]", Short: "Mount an image's root filesystem",
		Long: "Mounts the root file systems of images, read-only, and prints where; without an image it lists what is mounted.\n" +
			"An ordinary user sees the mounts inside of `pod unshare` alone, so there the command belongs.",
		Example: "  pod unshare\n  ls $(pod image mount app)\n  pod image mount --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runMount(cmd.Context(), a, cmd.CommandPath(), opts, args)
		},
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Mount all images")
	flag.DiffFormat(fs, &opts.format)
	return cmd
}

func runMount(ctx context.Context, a *cli.App, command string, opts *mountOptions, names []string) error {
	if s := a.Session(); s.Rootless && !s.Within {
		return fmt.Errorf("cannot run command %q in rootless mode, must execute `pod unshare` first", command)
	}
	if opts.all && len(names) > 0 {
		return errors.New("when using the --all switch, you may not pass any image names or IDs")
	}
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	if len(names) == 0 && !opts.all {
		all, err := images.Mounts(ctx)
		if err != nil {
			return err
		}
		return showMounts(a, all, opts.format)
	}
	done, err := images.Mount(ctx, names, opts.all)
	for _, m := range done {
		record(a, events.Mount, m.ID, nameOf(m))
	}
	if err == nil && len(names) == 1 && opts.format == "" {
		_, err = fmt.Fprintln(a.Out, done[0].Path)
		return err
	}
	return errors.Join(showMounts(a, done, opts.format), err)
}

// mountJSON is the field's form of a mounted image.
type mountJSON struct {
	ID           string `json:"id"`
	Names        []string
	Repositories []string
	Mountpoint   string `json:"mountpoint"`
}

func showMounts(a *cli.App, mounts []image.Mounted, format string) error {
	if format == "json" {
		docs := make([]mountJSON, 0, len(mounts))
		for _, m := range mounts {
			docs = append(docs, mountJSON{m.ID, []string{m.Digest}, append([]string{}, m.Names...), m.Path})
		}
		return output.JSON(a.Out, docs)
	}
	var rows [][]string
	for _, m := range mounts {
		for _, name := range append([]string{nameOf(m)}, m.Names[min(1, len(m.Names)):]...) {
			rows = append(rows, []string{name, m.Path})
		}
	}
	return output.Rows(a.Out, nil, rows)
}

func nameOf(m image.Mounted) string {
	if len(m.Names) > 0 {
		return m.Names[0]
	}
	return m.ID
}

func newUnmount(a *cli.App) *cobra.Command {
	var all, force bool
	cmd := &cobra.Command{
		Use: "unmount [options] IMAGE [IMAGE...]", Aliases: []string{"umount"}, Short: "Unmount an image's root filesystem",
		Long:    "Takes back one mount of each image; it is unmounted when its last mount is taken back, or at once with --force.",
		Example: "  pod image unmount app\n  pod image unmount --all --force",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUnmount(cmd.Context(), a, all, force, args)
		},
	}
	fs := cmd.Flags()
	flag.All(fs, &all, "a", "Unmount all of the currently mounted images")
	fs.BoolVarP(&force, "force", "f", false, "Force the complete unmount of the specified mounted images")
	return cmd
}

func runUnmount(ctx context.Context, a *cli.App, all, force bool, names []string) error {
	switch {
	case all && len(names) > 0:
		return errors.New("when using the --all switch, you may not pass any image names or IDs")
	case !all && len(names) == 0:
		return errors.New("image name or ID must be specified")
	}
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	done, errs := images.Unmount(ctx, names, all, force)
	for _, m := range done {
		record(a, events.Unmount, m.ID, nameOf(m))
		fmt.Fprintln(a.Out, m.ID)
	}
	return failed(errs)
}
