package container

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// MakePod makes a pod, with the image of its infra container if there is one; pod
// create does it too.
func MakePod(ctx context.Context, a *cli.App, spec *specgen.Pod) (*state.Pod, error) {
	var img specgen.ImageConfig
	if spec.InfraImage != "" && !spec.NoInfra {
		images, err := a.Images(ctx)
		if err != nil {
			return nil, err
		}
		if img, err = images.Ensure(ctx, spec.InfraImage, basic.PullOptions{Progress: a.Err}); err != nil {
			return nil, err
		}
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	return e.CreatePod(ctx, spec, img)
}

// enterPod makes the pod of --pod new:NAME, with the network that the container
// was to have, and puts the container into it. undo, called with the error of a
// container that could not be made, removes the pod again.
func enterPod(ctx context.Context, a *cli.App, e *libpod.Engine, spec *specgen.Container) (undo func(error) error, err error) {
	name, isNew := strings.CutPrefix(spec.Pod, "new:")
	if !isNew {
		return func(err error) error { return err }, nil
	}
	if name == "" {
		return nil, errors.New("new pod name must be at least one character")
	}
	if spec.Network.PublishAll {
		return nil, errors.New("--publish-all cannot be used with --pod new:NAME: publish the pod's ports with --publish")
	}
	conf, err := a.Config()
	if err != nil {
		return nil, err
	}
	pod := &specgen.Pod{
		Name: name, Network: spec.Network, CreateCommand: spec.CreateCommand,
		ExitPolicy: string(conf.Engine.PodExitPolicy), InfraImage: conf.Engine.InfraImage,
	}
	pod.Network.Expose = nil
	pod.Spaces.User = os.Getenv("PODMAN_USERNS")
	p, err := MakePod(ctx, a, pod)
	if err != nil {
		return nil, err
	}
	spec.Pod, spec.Network = p.ID, specgen.Network{Expose: spec.Network.Expose}
	return func(err error) error {
		if err == nil {
			return nil
		}
		_, removeErr := e.RemovePod(context.WithoutCancel(ctx), p.ID, libpod.RemovePodOptions{Force: true})
		return errors.Join(err, removeErr)
	}, nil
}
