package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/image/hello"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// pauseRoot is the root file system of an infra container without an image. It is
// made for each run, in the container's run directory.
func (e *Engine) pauseRoot(id string) string { return filepath.Join(e.paths.container(id), "root") }

// makePauseRoot makes it: the program, and what is mounted on, since the first
// process may be nobody who could make that (a user namespace without its owner).
// The mounts of the pod are for its other containers.
func (e *Engine) makePauseRoot(c *state.Container) (string, error) {
	root := e.pauseRoot(c.ID)
	if err := fill(root); err != nil {
		return "", fmt.Errorf("make the root file system of infra container %s: %w", c.Name, err)
	}
	return root, nil
}

func fill(root string) error {
	if err := os.RemoveAll(root); err != nil { // a killed run may have left it unfinished
		return err
	}
	for _, dir := range []string{"dev", "etc", "proc", "run", "sys"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil { //nolint:gosec // of a container's root
			return err
		}
	}
	for _, file := range []string{"etc/hosts", "etc/hostname", "etc/localtime", "etc/resolv.conf", "run/.containerenv"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, specgen.PauseProgram), hello.Program(), 0o755) //nolint:gosec // to be executed
}

// networkName is the name of a container on its networks: the pod's for all of them.
func (e *Engine) networkName(ctx context.Context, c *state.Container) string {
	if c.Spec.IsInfra {
		if p, err := e.state.Pod(ctx, c.Spec.Pod); err == nil {
			return p.Name
		}
	}
	return c.Name
}

// removeInfra removes the records of a pod and its infra container.
func (e *Engine) removeInfra(ctx context.Context, c *state.Container) error {
	if err := e.state.RemovePod(ctx, c.Spec.Pod, c.ID); !isNoPod(err) {
		return err
	}
	err := e.state.Remove(ctx, c.ID) // the pod's record is gone for whatever reason
	if isAbsent(err) {
		return nil
	}
	return err
}

// podHosts is the hosts file of the pod whose network a container shares: one file
// for all of them, as in the field. False if the container has one of its own.
func (e *Engine) podHosts(ctx context.Context, c *state.Container) (string, bool) {
	if c.Spec.Pod == "" || c.Spec.IsInfra || c.Spec.Network.NoHosts {
		return "", false
	}
	for _, id := range needs(c) {
		if c.Spec.Network.Mode != "container:"+id {
			continue
		}
		infra, err := e.state.Get(ctx, id)
		if err != nil || !infra.Spec.IsInfra || infra.Spec.Pod != c.Spec.Pod {
			return "", false
		}
		path := filepath.Join(e.paths.container(id), "hosts")
		return path, !missing(path)
	}
	return "", false
}

// addPodHost adds a container's name to the pod's hosts file.
func addPodHost(path, name string) error {
	line := "127.0.0.1\t" + name + "\n"
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("add %s to the pod's hosts: %w", name, err)
	}
	defer f.Close()
	const most = 1 << 20
	data := make([]byte, most)
	n, err := f.ReadAt(data, 0)
	if err == nil || n == most {
		return nil // a container has filled it: it is theirs to write
	}
	if slices.Contains(slices.Collect(strings.Lines(string(data[:n]))), line) {
		return nil
	}
	if _, err := f.WriteString(line); err != nil {
		return errors.Join(fmt.Errorf("add %s to the pod's hosts", name), err)
	}
	return nil
}
