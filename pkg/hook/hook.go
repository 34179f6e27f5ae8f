// Package hook adds OCI hooks to a container's specification: programs of the
// host that run at the container's stages (oci-hooks(5)). They come from
// directories of the configuration, or that the user names, and never from an
// image. Which hooks there are and when they match is for the field's own package
// to say. Two stages are pod's to run: precreate, which may change the
// specification, and poststop, since pod ends most containers without the runtime.
package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/hooks"
)

// precreate is the stage before the runtime sees the specification.
const precreate = "precreate"

// Add adds the hooks of directories, of which later ones win, to spec.
// hasBinds says whether the user mounts anything. It returns the specification
// to use, which is another one if a hook changed it.
func Add(ctx context.Context, dirs []string, spec *rspec.Spec, hasBinds bool) (*rspec.Spec, error) {
	if !exist(dirs) {
		return spec, nil
	}
	manager, err := hooks.New(ctx, dirs, []string{precreate})
	if err != nil {
		return nil, fmt.Errorf("read OCI hooks of %s: %w", strings.Join(dirs, ", "), err)
	}
	extra, err := manager.Hooks(spec, spec.Annotations, hasBinds)
	if err != nil {
		return nil, fmt.Errorf("OCI hooks: %w", err)
	}
	for _, h := range extra[precreate] {
		if spec, err = filter(ctx, h, spec); err != nil {
			return nil, fmt.Errorf("OCI hook %s: %w", h.Path, err)
		}
	}
	return spec, nil
}

// exist says whether there is any hook at all; on most hosts there is none.
func exist(dirs []string) bool {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return true
		}
		for _, e := range entries {
			if filepath.Ext(e.Name()) == ".json" {
				return true
			}
		}
	}
	return false
}

// filter gives the specification to a hook and takes what it makes of it.
func filter(ctx context.Context, h rspec.Hook, spec *rspec.Spec) (*rspec.Spec, error) {
	out, err := run(ctx, h, spec)
	if err != nil {
		return nil, err
	}
	var changed rspec.Spec
	if err := json.Unmarshal(out, &changed); err != nil {
		return nil, fmt.Errorf("its output is no OCI specification: %w", err)
	}
	return &changed, nil
}

// Poststop takes the hooks of that stage out of a specification.
func Poststop(spec *rspec.Spec) []rspec.Hook {
	if spec.Hooks == nil {
		return nil
	}
	list := spec.Hooks.Poststop
	spec.Hooks.Poststop = nil
	return list
}

// Run runs hooks, each with the container's state; that one fails stops none.
func Run(ctx context.Context, list []rspec.Hook, state rspec.State) error {
	var errs []error
	for _, h := range list {
		if _, err := run(ctx, h, state); err != nil {
			errs = append(errs, fmt.Errorf("OCI hook %s: %w", h.Path, err))
		}
	}
	return errors.Join(errs...)
}

// run runs one hook with a document on its standard input.
func run(ctx context.Context, h rspec.Hook, document any) ([]byte, error) {
	in, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encode the input: %w", err)
	}
	if h.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*h.Timeout)*time.Second)
		defer cancel()
	}
	var out, words bytes.Buffer
	cmd := exec.CommandContext(ctx, h.Path) //nolint:gosec // the administrator's or the user's own program
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = h.Env, bytes.NewReader(in), &out, &words
	cmd.WaitDelay = time.Second // a child of the hook may hold its streams
	if cmd.Env == nil {
		cmd.Env = []string{} // as the runtime runs hooks
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w %s", err, bytes.TrimSpace(words.Bytes()))
	}
	return out.Bytes(), nil
}
