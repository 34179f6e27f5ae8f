package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tool is one of the two programs, with a store of its own.
type tool struct {
	name          string
	path          string
	root, runRoot string
	env           []string
}

// newTool gives the program called name a store below dir. Both get theirs the
// same way; runDir is on a tmpfs.
func newTool(name, path, dir, runDir string) (*tool, error) {
	path, err := exec.LookPath(path)
	if err != nil {
		return nil, err
	}
	return &tool{name: name, path: path, env: os.Environ(), root: filepath.Join(dir, name), runRoot: filepath.Join(runDir, name)}, nil
}

// podmanConfig lets podman start containers where the kernel delegates no pids
// controller; pod leaves the default limit out by itself.
const podmanConfig = "[containers]\npids_limit = 0\n"

// configure is for podman and buildah.
func (t *tool) configure(file string) error {
	if err := os.WriteFile(file, []byte(podmanConfig), 0o600); err != nil {
		return err
	}
	t.env = append(t.env, "CONTAINERS_CONF_OVERRIDE="+file)
	return nil
}

// command makes one call of the program. Its output is collected: a terminal or
// a slow reader is not what is measured.
func (t *tool) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.path, append([]string{"--root", t.root, "--runroot", t.runRoot}, args...)...)
	cmd.Env = t.env
	return cmd
}

// run calls the program and returns its output.
func (t *tool) run(ctx context.Context, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := t.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", t.name, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// version is one line.
func (t *tool) version(ctx context.Context) string {
	out, err := t.run(ctx, "--version")
	if err != nil {
		return t.name + ": " + err.Error()
	}
	if t.name == podName {
		if commit, err := t.run(ctx, "version", "--format", "{{.Client.GitCommit}}"); err == nil && commit != "" {
			out += " (" + commit + ")"
		}
	}
	return out
}
