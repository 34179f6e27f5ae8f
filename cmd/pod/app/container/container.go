// Package container holds the commands on containers, in their container form
// and as top-level commands.
package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Commands returns `pod container …` and the top-level forms. Of the verbs in others
// there are both too.
func Commands(a *cli.App, others cli.Verbs) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "container", Short: "Manage containers", Long: "Manage containers",
		Example: "  pod container ls --all", Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	top := cli.Verbs{
		"attach": newAttach, "cp": newCp, "create": newCreate, "debug": newDebug, "exec": newExec, "export": newExport,
		"init": newInit, "kill": newKill, "logs": newLogs, "mount": newMount, "pause": newPause, "port": newPort, "rename": newRename,
		"restart": newRestart, "rm": newRm, "run": newRun, "start": newStart, "stats": newStats, "stop": newStop, "top": newTop, "unmount": newUnmount,
		"unpause": newUnpause, "update": newUpdate, "wait": newWait, "why": newWhy,
	}
	maps.Copy(top, others)
	below := maps.Clone(top)
	maps.Copy(below, cli.Verbs{
		"checkpoint": newCheckpoint, "clone": newClone, "restore": newRestore, "diff": cli.With(newDiff, false), "exists": newExists, "cleanup": newCleanup,
		libpod.RestartVerb: newPolicyRestart, "prune": newPrune, "runlabel": newRunlabel, "ls": cli.With(newList, "ls"), "inspect": newContainerInspect,
	})
	maps.Copy(top, cli.Verbs{"diff": cli.With(newDiff, true), "ps": cli.With(newList, "ps"), "inspect": newInspect})
	return a.Group(group, below), a.Top(top)
}

// many runs work on each object, prints the answer of each that succeeds, and
// joins the errors of the others.
func many(a *cli.App, names []string, work func(name string) (string, error)) error {
	var failed cli.Many
	for _, name := range names {
		answer, err := work(name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if answer != "" {
			fmt.Fprintln(a.Out, answer)
		}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

// selection is how a verb names its containers.
type selection struct {
	all, latest, ignore bool
	cidfiles, filters   []string
}

// names resolves the selection to ids, or leaves what the user typed.
func (s *selection) names(ctx context.Context, e *libpod.Engine, args []string, usable func(libpod.Status) bool) ([]string, error) {
	if err := s.check(args); err != nil {
		return nil, err
	}
	names := args
	for _, file := range s.cidfiles {
		data, err := os.ReadFile(file)
		if err != nil {
			if s.ignore && errors.Is(err, os.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("reading CIDFile: %w", err)
		}
		id, _, _ := strings.Cut(string(data), "\n")
		if id == "" && s.ignore {
			continue // whoever was to write it was killed
		}
		names = append(names, id)
	}
	switch {
	case s.latest:
		c, err := e.Latest(ctx)
		if err != nil {
			return nil, err
		}
		return []string{c.ID}, nil
	case s.all || len(s.filters) > 0:
		list, err := e.List(ctx, s.filters)
		if err != nil {
			return nil, err
		}
		names = nil
		for _, c := range list {
			if usable == nil || usable(e.Status(c)) {
				names = append(names, c.ID)
			}
		}
	}
	return names, nil
}

func (s *selection) check(args []string) error {
	named := len(args) > 0
	picks := 0
	for _, used := range []bool{s.all, s.latest, len(s.filters) > 0, len(s.cidfiles) > 0} {
		if used {
			picks++
		}
	}
	switch {
	case (s.all || s.latest) && named:
		return errors.New("--all and --latest cannot be used together with container names")
	case s.all && s.latest:
		return errors.New("--all and --latest cannot be used together")
	case picks == 0 && !named && !s.ignore:
		return errors.New("you must provide at least one name or id, or --all or --latest")
	}
	return nil
}

// absent says that err is about a container that does not exist.
func absent(err error) bool {
	var no state.ErrNoContainer
	return errors.As(err, &no)
}

// endFlags are the flags that stop, restart, kill and rm share.
func (s *selection) endFlags(fs *pflag.FlagSet, verb string, filters bool) {
	fs.BoolVarP(&s.all, "all", "a", false, verb+" all containers")
	fs.BoolVarP(&s.latest, "latest", "l", false, "Act on the latest container")
	fs.StringArrayVar(&s.cidfiles, "cidfile", nil, "Read the container ID from the file")
	if filters {
		short := "f"
		if fs.ShorthandLookup("f") != nil || verb == "Remove" {
			short = ""
		}
		fs.StringArrayVarP(&s.filters, "filter", short, nil, "Filter output based on conditions given")
	}
}

// timeFlag binds -t; nil means that it was not given. Negative is for ever.
func timeFlag(fs *pflag.FlagSet) func() *uint {
	seconds := fs.IntP("time", "t", 10, "Seconds to wait for the container to stop before killing it")
	return func() *uint {
		if !fs.Changed("time") {
			return nil
		}
		if *seconds < 0 {
			forever := uint(1) << 31
			return &forever
		}
		given := uint(*seconds)
		return &given
	}
}

func isUp(s libpod.Status) bool {
	switch s {
	case libpod.StatusRunning, libpod.StatusPaused, libpod.StatusStopping, libpod.StatusInitialized:
		return true
	}
	return false
}

// each runs work on every selected container and prints what the user called
// it.
func (s *selection) each(ctx context.Context, a *cli.App, args []string, usable func(libpod.Status) bool,
	work func(ctx context.Context, e *libpod.Engine, name string) error,
) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	names, err := s.names(ctx, e, args, usable)
	if err != nil {
		return err
	}
	return many(a, names, func(name string) (string, error) {
		err := work(ctx, e, name)
		if s.ignore && absent(err) {
			return "", nil
		}
		return name, err
	})
}
