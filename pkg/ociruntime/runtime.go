package ociruntime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// Cgroup managers a Runtime can be told to use.
const (
	CgroupSystemd  = "systemd"
	CgroupFS       = "cgroupfs"
	CgroupDisabled = ""
)

// Runtime is an OCI runtime and the conmon that watches over its containers.
// It holds no state; a copy is as good as the original.
type Runtime struct {
	// Name is what the user calls it: crun, runc, …
	Name string
	// Path is the executable, from Find.
	Path string
	// View is the same executable where it cannot be written, and starts faster for that;
	// empty is Path. It is what is executed.
	View string
	// Conmon is conmon's executable, from FindConmon.
	Conmon string
	// Flags are global flags for the runtime, complete with their dashes.
	Flags []string
	// CgroupManager is CgroupSystemd, CgroupFS or CgroupDisabled. With the last
	// one the specification must carry neither cgroupsPath nor limits, since
	// only crun has a switch for it.
	CgroupManager string
	// StateRoot is the runtime's --root, on a tmpfs; empty leaves its default.
	StateRoot string
	// Env is the environment of conmon, the runtime and the exit command; nil
	// means what Environ picks out of this process's own.
	Env []string
	// Rootless: pod is root in a user namespace only.
	Rootless bool
	// HostNetwork: the container has no network namespace of its own, which a
	// runtime with a network of its own must be told.
	HostNetwork bool
	// LogLevel of conmon; empty is error.
	LogLevel string
}

// program is the file to execute.
func (r *Runtime) program() string {
	if r.View != "" {
		return r.View
	}
	return r.Path
}

// isCrun reports whether the runtime understands crun's own global flags.
func (r *Runtime) isCrun() bool {
	return r.Name == "crun" || strings.HasPrefix(filepath.Base(r.Path), "crun") ||
		r.Name == "krun"
}

// IsSandbox reports whether the runtime is gVisor's, whose containers have a
// kernel of their own: their processes are not the host's.
func (r *Runtime) IsSandbox() bool { return strings.HasPrefix(filepath.Base(r.Path), "runsc") }

// sandboxArgs are gVisor's flags that follow from where the container runs.
// Without real root it may not make the cgroups at the root of the tree, which it
// insists on otherwise.
func (r *Runtime) sandboxArgs() []string {
	var args []string
	if r.Rootless || r.CgroupManager == CgroupDisabled {
		args = append(args, "--ignore-cgroups")
	}
	if r.HostNetwork {
		args = append(args, "--network=host")
	}
	return args
}

// globalArgs are the runtime's arguments before the verb, as conmon gets them
// too. conmon adds --systemd-cgroup itself when it creates a container.
func (r *Runtime) globalArgs() []string {
	var args []string
	if r.StateRoot != "" {
		args = append(args, "--root", r.StateRoot)
	}
	if r.CgroupManager == CgroupDisabled && r.isCrun() {
		args = append(args, "--cgroup-manager=disabled")
	}
	if r.IsSandbox() {
		args = append(args, r.sandboxArgs()...)
	}
	return append(args, r.Flags...)
}

// env is the environment of every process the package starts.
func (r *Runtime) env() []string {
	if r.Env != nil {
		return r.Env
	}
	return Environ(os.Environ())
}

// Environ picks from environ what conmon and its exit command need. Everything
// else stays here: conmon lives long and holds whatever it inherits, NOTIFY_SOCKET
// and LISTEN_FDS would change what the runtime does, and a locale costs conmon
// the loading of its archive.
func Environ(environ []string) []string {
	var kept []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "DBUS_SESSION_BUS_ADDRESS",
			"REGISTRY_AUTH_FILE", "STORAGE_DRIVER", "STORAGE_OPTS", "NETAVARK_FW":
			kept = append(kept, pair)
		default:
			for _, prefix := range []string{"XDG_", "CONTAINERS_", "_CONTAINERS_", "POD_", "_POD_"} {
				if strings.HasPrefix(name, prefix) {
					kept = append(kept, pair)
					break
				}
			}
		}
	}
	return kept
}

// ensureStateRoot makes the runtime's state directory; runc wants it to exist
// below a directory it may write.
func (r *Runtime) ensureStateRoot() error {
	if r.StateRoot == "" {
		return nil
	}
	return os.MkdirAll(r.StateRoot, 0o700)
}

// run executes one verb of the runtime and returns its standard output.
func (r *Runtime) run(ctx context.Context, verb string, args ...string) ([]byte, error) {
	argv := []string{r.program()}
	if r.CgroupManager == CgroupSystemd {
		argv = append(argv, "--systemd-cgroup")
	}
	argv = append(argv, r.globalArgs()...)
	argv = append(argv, verb)
	argv = append(argv, args...)
	return r.execute(ctx, verb, argv)
}
