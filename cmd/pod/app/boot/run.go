package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

const (
	// atOnce is how many containers start side by side.
	atOnce = 4
	// tries of one container: early in a boot an address or a disk may be missing.
	tries      = 3
	firstPause = time.Second
)

func newRun(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Start what a boot starts, now",
		Long:    "Starts the containers that are wanted and do not run. This is what the installed unit or crontab line calls.",
		Example: "  pod boot run", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBoot(cmd.Context(), a) },
	}
}

func runBoot(ctx context.Context, a *cli.App) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	wanted, err := e.WantedAtBoot(ctx)
	if err != nil {
		return err
	}
	self, err := a.Self()
	if err != nil {
		return err
	}
	var print sync.Mutex
	s := starter{turns: make(chan struct{}, atOnce), start: func(c libpod.BootContainer) error {
		err := startPatiently(ctx, self, c.ID)
		print.Lock()
		defer print.Unlock()
		if err != nil {
			return fmt.Errorf("start container %s: %w", c.Name, err)
		}
		fmt.Fprintln(a.Out, c.Name)
		return nil
	}}
	if failed := s.all(wanted); len(failed) > 0 {
		return cli.Many(failed)
	}
	return nil
}

// startPatiently starts one container by a process of its own.
func startPatiently(ctx context.Context, self []string, id string) error {
	pause := firstPause
	for try := 1; ; try++ {
		var stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, self[0], append(slices.Clone(self[1:]), "start", id)...)
		cmd.Stderr = &stderr
		err := cmd.Run()
		if err == nil {
			return nil
		}
		if said := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "Error: "); said != "" {
			err = errors.New(said)
		}
		if try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// starter starts containers side by side, each after those it needs.
type starter struct {
	turns chan struct{}
	start func(libpod.BootContainer) error
}

// all starts the containers and returns what went wrong, in their order. One
// that fails stops nobody but those that need it. The containers are ordered so
// that each comes after those it needs.
func (s *starter) all(containers []libpod.BootContainer) []error {
	done := make(map[string]chan struct{}, len(containers))
	failed := make(map[string]error, len(containers))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range containers {
		finished := make(chan struct{})
		before := make(map[string]chan struct{}, len(c.Needs))
		for _, id := range c.Needs {
			if ch := done[id]; ch != nil {
				before[id] = ch
			}
		}
		done[c.ID] = finished
		wg.Go(func() {
			defer close(finished)
			var err error
			for id, ch := range before {
				<-ch
				mu.Lock()
				if failed[id] != nil {
					err = fmt.Errorf("start container %s: container %.12s, which it needs, did not start", c.Name, id)
				}
				mu.Unlock()
			}
			if err == nil {
				s.turns <- struct{}{}
				err = s.start(c)
				<-s.turns
			}
			mu.Lock()
			failed[c.ID] = err
			mu.Unlock()
		})
	}
	wg.Wait()
	var errs []error
	for _, c := range containers {
		if err := failed[c.ID]; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
