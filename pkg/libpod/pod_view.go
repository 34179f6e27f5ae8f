package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/stats"
)

// TopPod lists the processes of all containers of a pod that run, a row of
// headings first. Those of containers with one pid namespace are listed once.
func (e *Engine) TopPod(ctx context.Context, nameOrID string, wanted []string) ([][]string, error) {
	p, err := e.state.LookupPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	members, err := e.state.Members(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	if _, err := columns(wanted); err != nil {
		return nil, err
	}
	var rows [][]string
	seen := map[string]bool{}
	for _, c := range members {
		if status := e.status(c); !isLive(status) || status == StatusInitialized {
			continue
		}
		space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", c.Run.Init.PID))
		if err != nil || seen[space] {
			continue // it has ended
		}
		seen[space] = true
		of, err := e.Top(ctx, c.ID, wanted)
		if errors.Is(err, ErrStateImproper) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			of = of[1:]
		}
		rows = append(rows, of...)
	}
	return rows, nil
}

// PodTarget says what statistics of a pod's container are of, and of which pod.
type PodTarget struct {
	Pod *state.Pod
	// Running: Target says where the numbers are. Of others there are none.
	Running bool
	Target  stats.Target
}

// PodTargets lists what statistics are of: the containers of the pods that are
// named, or of those that run, or with all of all.
func (e *Engine) PodTargets(ctx context.Context, names []string, all bool) ([]PodTarget, error) {
	var list []*PodInfo
	if len(names) == 0 {
		found, err := e.Pods(ctx, nil)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if all || p.Status == "Running" || p.Status == "Degraded" {
				list = append(list, p)
			}
		}
	}
	for _, name := range names {
		p, err := e.state.LookupPod(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("unable to get list of pods: %w", err)
		}
		members, err := e.state.Members(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		list = append(list, e.podInfo(p, members))
	}
	var targets []PodTarget
	for _, p := range list {
		for _, c := range p.Members {
			t, running := e.StatTarget(c)
			targets = append(targets, PodTarget{Pod: p.Pod, Running: running, Target: t})
		}
	}
	return targets, nil
}
