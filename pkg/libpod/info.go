package libpod

import (
	"context"

	"github.com/rootless-pod/pod/pkg/ociruntime"
)

// Info is what the engine stands on and has, for `pod info`.
type Info struct {
	// CgroupManager is systemd, cgroupfs or "" for none; Reduced says why it is
	// less than what was configured.
	CgroupManager string
	CgroupV2      bool
	Controllers   []string
	Reduced       string
	// Runtime and Conmon are paths, empty when RuntimeErr or ConmonErr says why.
	Runtime, Conmon       string
	RuntimeErr, ConmonErr error
	VolumePath, RunDir    string
	// Containers counts by what the containers are now.
	Containers, Running, Paused, Stopped int
}

// Info asks the configuration, the kernel and the records. It starts nothing.
func (e *Engine) Info(ctx context.Context) (*Info, error) {
	plan := e.cgroupPlan()
	info := &Info{
		CgroupManager: plan.manager, CgroupV2: plan.v2, Controllers: plan.controllers, Reduced: plan.reason,
		VolumePath: e.paths.volumes, RunDir: e.paths.run,
	}
	info.Runtime, info.RuntimeErr = ociruntime.Find(e.runtimeName(), e.Config.Engine.OCIRuntimes)
	if info.Conmon = e.Conmon; info.Conmon == "" {
		info.Conmon, info.ConmonErr = ociruntime.FindConmon(e.Config.Engine.ConmonPath.Get())
	}
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	info.Containers = len(all)
	for _, c := range all {
		switch e.status(c) {
		case StatusRunning, StatusStopping:
			info.Running++
		case StatusPaused:
			info.Paused++
		default:
			info.Stopped++
		}
	}
	return info, nil
}
