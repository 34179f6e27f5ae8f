package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"go.podman.io/buildah/define"
	"go.podman.io/buildah/pkg/parse"
	"go.podman.io/common/pkg/config"
	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/alias"
	"github.com/rootless-pod/pod/internal/nested"
	"github.com/rootless-pod/pod/pkg/build/isolation"
	"github.com/rootless-pod/pod/pkg/build/oneid"
	"github.com/rootless-pod/pod/pkg/build/overlaymount"
)

// Host is what a build can have of this machine.
type Host struct {
	Isolation isolation.Host
	Net       Net
	// SingleID: the user has one id only.
	SingleID bool
	// Warn takes what is less than usual, one line each.
	Warn func(string)
}

// adapt makes the build one that this host can do. The function returned is called
// when the build has ended.
func (h Host) adapt(ctx context.Context, name string, store cstorage.Store, opts *define.BuildOptions) (cstorage.Store, func() error, error) {
	none := func() error { return nil }
	choice, err := isolation.Choose(ctx, name, h.Isolation)
	if err != nil {
		return nil, none, err
	}
	if err := h.isolate(choice, opts); err != nil {
		return nil, none, err
	}
	rlimits(h.Net.Rootless, opts.CommonBuildOpts)
	if store, err = h.mounts(store); err != nil {
		return nil, none, err
	}
	if h.SingleID {
		h.Warn("one id only: " + oneid.Lost)
		if err := oneid.Pretend(); err != nil {
			return nil, none, fmt.Errorf("build with one id: %w", err)
		}
	}
	h.Net.Warn = h.Warn
	down, err := connect(ctx, h.Net, opts)
	return store, down, err
}

// entered refuses what old runtimes (crun 1.8) cannot do: from inside a step's own user
// namespace they go to its root file system by its path, which is below dir.
func entered(dir string, maps *define.IDMappingOptions) error {
	if maps == nil || maps.HostUIDMapping {
		return nil
	}
	for at := dir; ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && info.Mode()&0o001 == 0 {
			return fmt.Errorf("--userns: the OCI runtime of this host needs a directory for temporary files that the ids of steps may enter, and %s has mode %#o: name another one with TMPDIR",
				at, info.Mode().Perm())
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// isolate sets the isolation, unless the user wants what it cannot give.
func (h Host) isolate(choice isolation.Choice, opts *define.BuildOptions) error {
	opts.Isolation, opts.Runtime = choice.Isolation, h.Isolation.Runtime
	if choice.OldVersion {
		name, err := alias.Link(filepath.Join(h.Isolation.RunDir, "bin"), isolation.OldRuntime)
		if err != nil {
			return err
		}
		if err := os.Setenv(isolation.OldRuntimeVariable, opts.Runtime); err != nil {
			return fmt.Errorf("OCI runtime: %w", err)
		}
		opts.Runtime = name
		if err := entered(parse.GetTempDir(), opts.IDMappingOptions); err != nil {
			return err
		}
	}
	// Scanners of --sbom are run by what the environment names.
	if err := os.Setenv("BUILDAH_RUNTIME", opts.Runtime); err != nil {
		return fmt.Errorf("OCI runtime: %w", err)
	}
	if choice.Isolation != define.IsolationChroot {
		readOnly(opts.CommonBuildOpts)
	}
	if choice.Isolation == define.IsolationChroot && choice.Reduced != "" {
		if ns := namespaces(opts).Find(string(specs.NetworkNamespace)); ns != nil && !ns.Host {
			return fmt.Errorf("--network: RUN steps can only have this host's network: %s", choice.Reduced)
		}
	}
	if choice.HostName {
		setNamespace(opts, define.NamespaceOption{Name: string(specs.UTSNamespace), Host: true})
	}
	if choice.Reduced != "" {
		h.Warn(choice.Reduced)
	}
	return nil
}

// cgroupDir is where a RUN step sees its own cgroup, or pod's.
const cgroupDir = "/sys/fs/cgroup"

// readOnly has the steps see their cgroup as containers do: buildah mounts it to be
// written to, and where the runtime makes none, it is the one pod and the user's
// terminal are in, which a step could freeze or kill. buildah has no option for it.
func readOnly(opts *define.CommonBuildOptions) {
	unmasked := slices.ContainsFunc(opts.Unmasks, func(pattern string) bool {
		match, err := filepath.Match(pattern, cgroupDir)
		return pattern == "all" || err == nil && match
	})
	if !unmasked && !slices.Contains(config.DefaultReadOnlyPaths, cgroupDir) {
		config.DefaultReadOnlyPaths = append(slices.Clone(config.DefaultReadOnlyPaths), cgroupDir)
	}
}

// sharesNetwork refuses steps that want a network of their own in a chroot, which has
// this host's: buildah would give them that without a word.
func sharesNetwork(files []containerfile, opts *define.BuildOptions) error {
	if opts.Isolation != define.IsolationChroot {
		return nil
	}
	for _, file := range files {
		if file.root == nil {
			continue
		}
		for _, node := range file.root.Children {
			for _, flag := range node.Flags {
				mode, found := strings.CutPrefix(flag, "--network=")
				if found && strings.EqualFold(node.Value, command.Run) && mode != "host" && mode != "default" {
					return fmt.Errorf("%s:%d: RUN %s: with isolation chroot steps can only have this host's network: use --isolation oci", file.name, node.StartLine, flag)
				}
			}
		}
	}
	return nil
}

// rlimits keeps buildah from raising limits that pod may not raise: those of a root
// without CAP_SYS_RESOURCE.
func rlimits(rootless bool, opts *define.CommonBuildOptions) {
	if rootless {
		return // buildah does it
	}
	for _, limit := range []struct {
		name     string
		resource int
	}{{"nofile", unix.RLIMIT_NOFILE}, {"nproc", unix.RLIMIT_NPROC}} {
		var have unix.Rlimit
		given := slices.ContainsFunc(opts.Ulimit, func(s string) bool { return strings.HasPrefix(strings.ToLower(s), limit.name+"=") })
		if given || unix.Getrlimit(limit.resource, &have) != nil || have.Max >= define.RLimitDefaultValue {
			continue
		}
		opts.Ulimit = append(opts.Ulimit, fmt.Sprintf("%s=%d:%d", limit.name, have.Max, have.Max))
	}
}

// withProgram is a store of which buildah takes that its overlays want a program.
type withProgram struct {
	cstorage.Store
	program string
}

// GraphOptions are the store's, and the mount program.
func (s withProgram) GraphOptions() []string {
	return append(slices.Clone(s.Store.GraphOptions()), ".mount_program="+s.program)
}

// mounts gives buildah pod's own mount program where it would fail to mount the
// overlays it wants in the directory for temporary files.
func (h Host) mounts(store cstorage.Store) (cstorage.Store, error) {
	for _, option := range store.GraphOptions() {
		if strings.Contains(option, "mount_program=") {
			return store, nil
		}
	}
	dir := os.Getenv("TMPDIR")
	if dir == "" {
		dir = "/var/tmp"
	}
	if store.GraphDriverName() == "overlay" && sameDevice(store.GraphRoot(), dir) {
		return store, nil // the store has such overlays there; to try costs a tenth of a build of cached steps
	}
	refused, err := overlaymount.Refused(dir)
	if err != nil || !refused {
		return store, err
	}
	program, err := alias.Link(filepath.Join(h.Isolation.RunDir, "bin"), overlaymount.Name)
	if err != nil {
		return nil, err
	}
	return withProgram{Store: store, program: program}, nil
}

// sameDevice says whether two paths are on one file system.
func sameDevice(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev
}

// explain adds to a failed build what this host refuses.
func (h Host) explain(ctx context.Context, name string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if strings.Contains(err.Error(), "chrooting to directory") { // COPY and ADD
		// The error comes from another process, as text.
		if remedy := nested.Remedy("chroot: " + err.Error()[strings.LastIndex(err.Error(), ":")+1:]); remedy != "" {
			return fmt.Errorf("%w: %s", err, remedy)
		}
	}
	if why := isolation.Explain(ctx, name, h.Isolation); why != "" {
		// The step has not ended by itself, so its exit status is nobody's.
		return fmt.Errorf("%v: %s", err, why) //nolint:errorlint // hidden on purpose
	}
	return err
}
