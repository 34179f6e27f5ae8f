package volume

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/libpod"
)

// chosen checks that names are given, or all is, and not both.
func chosen(all bool, names []string) error {
	if all == (len(names) > 0) {
		return errors.New("choose either one or more volumes or all: name them, or use --all")
	}
	return nil
}

type rmOptions struct {
	all, force bool
	time       int
	timed      bool
}

func newRm(a *cli.App) *cobra.Command {
	opts := &rmOptions{}
	cmd := &cobra.Command{
		Use: "rm [options] VOLUME [VOLUME...]", Aliases: []string{"remove"}, Short: "Remove one or more volumes",
		Long:    "Remove volumes and their content, and print their names. The content of a directory or a file system that a volume mounts stays.",
		Example: "  pod volume rm data\n  pod volume rm --force --time 3 data\n  pod volume rm --all",
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Remove all volumes")
	fs.BoolVarP(&opts.force, "force", "f", false, "Remove a volume by force, even if it is being used by a container")
	flag.Time(fs, &opts.time)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.timed = fs.Changed("time")
		return runRm(cmd.Context(), a, opts, args)
	}
	return cmd
}

// check refuses what does not go together.
func (o *rmOptions) check(names []string) error {
	if o.timed && !o.force {
		return errors.New("--force option must be specified to use the --time option")
	}
	if o.time < -1 {
		return fmt.Errorf("--time %d: it is a number of seconds, or -1 for ever", o.time)
	}
	return chosen(o.all, names)
}

func runRm(ctx context.Context, a *cli.App, opts *rmOptions, names []string) error {
	if err := opts.check(names); err != nil {
		return err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if opts.all {
		volumes, err := e.Volumes(ctx)
		if err != nil {
			return err
		}
		for _, v := range volumes {
			names = append(names, v.Name)
		}
	}
	var timeout *uint
	if opts.timed {
		seconds := uint(opts.time) //nolint:gosec // -1 is for ever, as for stop
		timeout = &seconds
	}
	return each(a, names, func(name string) (string, error) {
		v, err := e.Volume(ctx, name)
		if isAbsent(err) && (opts.force || opts.all) {
			return "", nil
		}
		if err == nil {
			err = e.RemoveVolume(ctx, v.Name, opts.force, timeout)
		}
		if isAbsent(err) { // as the field has it for rm
			return "", &libpod.CodedError{Code: 1, Err: err}
		}
		if err != nil {
			return "", err
		}
		return v.Name, nil
	})
}

// each does something with every name, and prints what that gives. One error is as it
// is; of several the first decides the exit code.
func each(a *cli.App, names []string, do func(name string) (string, error)) error {
	var failed cli.Many
	for _, name := range names {
		line, err := do(name)
		switch {
		case err != nil:
			failed = append(failed, err)
		case line != "":
			fmt.Fprintln(a.Out, line)
		}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

type pruneOptions struct {
	all, dryRun, force bool
	filters            []string
}

func newPrune(a *cli.App) *cobra.Command {
	opts := &pruneOptions{}
	cmd := &cobra.Command{
		Use: "prune [options]", Short: "Remove all unused volumes",
		Long:    "Remove the anonymous volumes that no container uses, with --all those with a name too, after asking. Filters: after, all, anonymous, label, label!, since, until, unused-for.",
		Example: "  pod volume prune\n  pod volume prune --all --force --filter unused-for=30d\n  pod volume prune --all --dry-run",
		Args:    cobra.NoArgs,
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Remove all unused volumes, not just anonymous ones")
	fs.BoolVar(&opts.dryRun, "dry-run", false, "Print what would be removed, and remove nothing")
	fs.StringArrayVar(&opts.filters, "filter", nil, "Provide filter values (e.g. 'label=<key>=<value>')")
	fs.BoolVarP(&opts.force, "force", "f", false, "Do not prompt for confirmation")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runPrune(cmd.Context(), a, opts) }
	return cmd
}

func runPrune(ctx context.Context, a *cli.App, opts *pruneOptions) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if opts.dryRun || !opts.force {
		found, err := e.PrunableVolumes(ctx, opts.all, opts.filters)
		if err != nil {
			return err
		}
		if !opts.dryRun {
			kind := "anonymous volumes"
			if opts.all {
				kind = "volumes"
			}
			if len(found) == 0 {
				fmt.Fprintf(a.Out, "No dangling %s found\n", kind)
				return nil
			}
			fmt.Fprintf(a.Out, "WARNING! This will remove all %s not used by at least one container. The following volumes will be removed:\n", kind)
		}
		for _, v := range found {
			fmt.Fprintln(a.Out, v.Name)
		}
		if opts.dryRun {
			return nil
		}
		if yes, err := a.Confirmed(); err != nil || !yes {
			return err
		}
	}
	pruned, err := e.PruneVolumes(ctx, opts.all, opts.filters)
	for _, p := range pruned {
		fmt.Fprintln(a.Out, p.ID)
	}
	return err
}

func newMount(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "mount NAME [NAME...]", Short: "Mount volume",
		Long:    "Mount volumes as a container would, and print where. An ordinary user sees the mounts inside of `pod unshare` alone, so there the command belongs.",
		Example: "  pod unshare\n  cd $(pod volume mount data)", Args: cobra.MinimumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if s := a.Session(); s.Rootless && !s.Within {
			return fmt.Errorf("cannot run command %q in rootless mode, must execute `pod unshare` first", cmd.CommandPath())
		}
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		return each(a, args, func(name string) (string, error) {
			at, err := e.MountVolume(cmd.Context(), name)
			return at, noVolume(err)
		})
	}
	return cmd
}

func newUnmount(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "unmount NAME [NAME...]", Aliases: []string{"umount"}, Short: "Unmount volume",
		Long:    "Take back one mount of each volume; it is unmounted when nothing needs it any more.",
		Example: "  pod volume unmount data", Args: cobra.MinimumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		return each(a, args, func(name string) (string, error) {
			done, err := e.UnmountVolume(cmd.Context(), name)
			return done, noVolume(err)
		})
	}
	return cmd
}
