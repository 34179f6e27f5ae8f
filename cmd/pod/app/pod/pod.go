// Package pod holds the commands on pods.
package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Commands returns `pod pod …`.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "pod", Short: "Manage pods",
		Long: "Manage pods: groups of containers that share namespaces, so that they reach each other at localhost, " +
			"have their ports published together, and are started, stopped and limited together.",
		Example: "  pod pod create --name shop -p 8080:80\n  pod run -d --pod shop nginx\n  pod pod ps", Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	verbs := cli.Verbs{
		"clone": newClone, "exists": newExists, "inspect": newInspect, "kill": newKill, "logs": newLogs, "pause": newPause, "restart": newRestart,
		"rm": newRm, "start": newStart, "stats": newStats, "stop": newStop, "top": newTop, "unpause": newUnpause,
	}
	for name, maker := range verbs {
		verbs[name] = func(a *cli.App) *cobra.Command {
			cmd := maker(a)
			cmd.ValidArgsFunction = cli.PodNames(a)
			return cmd
		}
	}
	verbs["create"], verbs["prune"], verbs["ps"] = newCreate, newPrune, newPs
	return a.Group(group, verbs), nil
}

// selection is how a verb names its pods.
type selection struct {
	all, latest, ignore bool
	idFiles             []string
}

func (s *selection) flags(fs *pflag.FlagSet, verb string) {
	fs.BoolVarP(&s.all, "all", "a", false, verb+" all pods")
	fs.BoolVarP(&s.latest, "latest", "l", false, "Act on the latest pod pod is aware of")
}

func (s *selection) idFlag(fs *pflag.FlagSet) {
	fs.StringArrayVar(&s.idFiles, "pod-id-file", nil, "Read the pod ID from the file")
}

// names resolves the selection to ids, or leaves what the user typed.
func (s *selection) names(ctx context.Context, e *libpod.Engine, args []string) ([]string, error) {
	switch {
	case s.all && s.latest:
		return nil, errors.New("--all and --latest cannot be used together")
	case (s.all || s.latest) && len(args)+len(s.idFiles) > 0:
		return nil, errors.New("no arguments are needed with --all or --latest")
	case !s.all && !s.latest && len(args)+len(s.idFiles) == 0:
		return nil, errors.New("you must provide at least one name or id")
	case s.latest:
		p, err := e.LatestPod(ctx)
		if err != nil {
			return nil, err
		}
		return []string{p.ID}, nil
	case s.all:
		list, err := e.Pods(ctx, nil)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			args = append(args, p.ID)
		}
		return args, nil
	}
	for _, file := range s.idFiles {
		data, err := os.ReadFile(file)
		if s.ignore && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading pod ID file: %w", err)
		}
		id := strings.TrimSpace(string(data))
		if id == "" && s.ignore {
			continue // whoever was to write it was killed
		}
		args = append(args, id)
	}
	return args, nil
}

// each runs work on every selected pod, prints the answer of each that succeeds,
// and joins the errors of the others, one a line.
func (s *selection) each(ctx context.Context, a *cli.App, args []string, work func(ctx context.Context, e *libpod.Engine, name string) (string, error)) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	names, err := s.names(ctx, e, args)
	if err != nil {
		return err
	}
	var failed cli.Many
	missing := 0
	for _, name := range names {
		answer, err := work(ctx, e, name)
		switch {
		case err == nil:
			fmt.Fprintln(a.Out, answer)
		case absent(err) && (s.ignore || s.all):
		default:
			if absent(err) {
				missing++
			}
			failed = append(failed, flatten(err)...)
		}
	}
	if len(failed) > 0 && missing == len(failed) {
		return errMissing{failed}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

// errMissing says that nothing failed but that pods were not there, which is
// another exit code for rm.
type errMissing struct{ cli.Many }

// Unwrap returns the errors, so that each is printed.
func (e errMissing) Unwrap() error { return e.Many }

// flatten makes one error of each container that failed.
func flatten(err error) []error {
	var several libpod.PodErrors
	if errors.As(err, &several) {
		return several
	}
	return []error{err}
}

// absent says that err is about a pod that does not exist.
func absent(err error) bool {
	var no state.ErrNoPod
	return errors.As(err, &no)
}

// timeFlag binds -t; nil means that it was not given. Negative is for ever.
func timeFlag(fs *pflag.FlagSet) func() *uint {
	seconds := 10
	flag.Time(fs, &seconds)
	return func() *uint {
		if !fs.Changed("time") {
			return nil
		}
		given := uint(1) << 31
		if seconds >= 0 {
			given = uint(seconds)
		}
		return &given
	}
}
