// Package whole is pod with all its commands, and what else it is called for: systemd's
// generator, the children of libraries, the mount program of builds, the probes of
// `pod doctor`. How a command is run is package app's.
package whole

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/cmd/pod/app"
	"github.com/rootless-pod/pod/cmd/pod/app/artifact"
	"github.com/rootless-pod/pod/cmd/pod/app/autoupdate"
	"github.com/rootless-pod/pod/cmd/pod/app/boot"
	"github.com/rootless-pod/pod/cmd/pod/app/build"
	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/commit"
	"github.com/rootless-pod/pod/cmd/pod/app/container"
	"github.com/rootless-pod/pod/cmd/pod/app/generate"
	"github.com/rootless-pod/pod/cmd/pod/app/healthcheck"
	"github.com/rootless-pod/pod/cmd/pod/app/image"
	"github.com/rootless-pod/pod/cmd/pod/app/library"
	"github.com/rootless-pod/pod/cmd/pod/app/manifest"
	"github.com/rootless-pod/pod/cmd/pod/app/network"
	"github.com/rootless-pod/pod/cmd/pod/app/pod"
	"github.com/rootless-pod/pod/cmd/pod/app/quadlet"
	"github.com/rootless-pod/pod/cmd/pod/app/registry"
	"github.com/rootless-pod/pod/cmd/pod/app/secret"
	"github.com/rootless-pod/pod/cmd/pod/app/system"
	"github.com/rootless-pod/pod/cmd/pod/app/version"
	"github.com/rootless-pod/pod/cmd/pod/app/volume"
	"github.com/rootless-pod/pod/pkg/build/overlaymount"
	"github.com/rootless-pod/pod/pkg/doctor"
)

// Program returns it.
func Program() app.Program {
	return app.Program{
		Nouns: []app.Noun{
			artifact.Commands, autoupdate.Commands, boot.Commands, build.Commands, containers, generate.Commands, healthcheck.Commands, image.Commands,
			manifest.Commands, network.Commands, pod.Commands, quadlet.Commands, registry.Commands, secret.Commands, system.Commands, version.Commands, volume.Commands,
		},
		Early:    early,
		HostView: hostView,
		Parts:    library.Parts(),
	}
}

// containers makes the commands on containers, with that which makes images of them.
func containers(a *cli.App) (*cobra.Command, []*cobra.Command) {
	return container.Commands(a, cli.Verbs{"commit": commit.New})
}

// Tree is the tree of all commands, for docs/gen: to be read, not executed.
func Tree() *cobra.Command { return Program().Tree([]string{"pod"}) }

// early does what pod is called for other than a command.
func early(args []string) (done bool, err error) {
	keepFiles(args[0])
	switch {
	case isGenerator(args[0]):
		if code := generator(args, os.Stdout, os.Stderr); code != 0 {
			return true, &cli.Exit{Code: code}
		}
		return true, nil
	case filepath.Base(args[0]) == overlaymount.Name:
		return true, failure(overlaymount.Main(args[1:])) // for a build, as fuse-overlayfs would
	case len(args) > 1 && args[1] == doctor.ProbeVerb:
		// What pod doctor lets a process in a user namespace of its own try.
		return true, failure(doctor.RunProbe(context.Background(), args[2:], os.Stdin, os.Stdout))
	}
	return false, nil
}

// failure is err with the exit code of pod's own, also if err is that of a child.
func failure(err error) error {
	if err == nil {
		return nil
	}
	return &cli.Exit{Code: cli.CodeFailure, Err: err}
}

// keepFiles has the programs of a build, which a child of buildah starts, inherit no
// files: the child's own, and those that the user's shell had open when pod started.
func keepFiles(name string) {
	if strings.HasPrefix(name, "buildah-") {
		_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) // kernels before 5.11 cannot
	}
}

// hostView says whether a command runs outside the user's namespaces.
func hostView(cmd *cobra.Command) bool {
	return boot.HostView(cmd) || image.HostView(cmd) || quadlet.HostView(cmd) || slices.Contains([]string{"doctor", "trust", "sign"}, cmd.Name())
}
