// Package isolation finds out how far the RUN steps of a build can be kept apart
// from the rest of this host, and chooses how they are run: by an OCI runtime, or,
// where that is refused (in a container that may not mount, say), in a chroot.
//
// It asks by trying: the runtime is started once for a program that needs nothing,
// with what a step gets, and the answer is kept until the boot ends or anything it
// depends on changes. What the steps do is buildah's business.
package isolation

import (
	"context"
	"fmt"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/buildah/define"

	"github.com/rootless-pod/pod/internal/nested"
)

// Host is what the probes need to know.
type Host struct {
	// Runtime is the path of the OCI runtime, empty if there is none; RuntimeErr
	// says why, with the remedy.
	Runtime    string
	RuntimeErr error
	// RuntimeArgs are its global options.
	RuntimeArgs []string
	// Rootless: pod is root only in a user namespace of its own.
	Rootless bool
	// RunDir keeps the answer. It ends with the boot, or the answer is void then.
	RunDir string
	// Scratch is a directory on the file system of the store, from which programs
	// can be executed.
	Scratch string
}

// Found is what this host lets a build do.
type Found struct {
	// OCI says why the runtime cannot run a step; empty if it can.
	OCI string `json:"oci,omitempty"`
	// OldVersion: it can, if the specification claims to be oldVersion.
	OldVersion bool `json:"old_version,omitempty"`
	// NoHostname: it can, but a step has the host's name.
	NoHostname string `json:"no_hostname,omitempty"`
	// Chroot says why a step cannot be run in a chroot either. It is only asked for
	// when OCI is not empty.
	Chroot string `json:"chroot,omitempty"`
}

// Choice is how steps are to be run.
type Choice struct {
	Isolation define.Isolation
	// OldVersion: the runtime is to be started as OldRuntime.
	OldVersion bool
	// HostName: a step keeps the host's UTS namespace.
	HostName bool
	// Reduced says in one line what is less than it could be and why; empty if nothing.
	Reduced string
}

// OldRuntime is what pod is called to be a runtime that refuses the specification's
// present version; OldRuntimeVariable of the environment has the path of the runtime. The
// C half of pkg/rootless/nsenter knows both, and the version.
const (
	OldRuntime         = "pod-runtime"
	OldRuntimeVariable = "POD_OLD_RUNTIME"
	oldVersion         = "1.0.2"
)

// Auto is the isolation that is the best to be had here.
const Auto = "auto"

// Name reads an isolation as the user names it, "" being the default.
func Name(name string) (string, error) {
	switch lower := strings.ToLower(name); lower {
	case "", "default":
		return Auto, nil
	case Auto, "oci", "rootless", "chroot":
		return lower, nil
	}
	return "", fmt.Errorf("unrecognized isolation type %q: use auto, oci, rootless or chroot", name)
}

// Choose decides what name means here.
func Choose(ctx context.Context, name string, host Host) (Choice, error) {
	switch name {
	case "chroot":
		return Choice{Isolation: define.IsolationChroot}, nil
	case Auto:
		found, err := Find(ctx, host)
		if err != nil {
			return Choice{}, err
		}
		return found.choice(), nil
	}
	// What was asked for is tried; Explain tells what was in its way.
	found, err := Find(ctx, host)
	return Choice{Isolation: oci(), OldVersion: err == nil && found.OldVersion}, nil
}

// oci is buildah's name for what pod does with an OCI runtime: no bridge networks
// and no session keyring, for root too.
func oci() define.Isolation { return define.IsolationOCIRootless }

func (f Found) choice() Choice {
	switch {
	case f.OCI == "" && f.NoHostname == "":
		return Choice{Isolation: oci(), OldVersion: f.OldVersion}
	case f.OCI == "":
		return Choice{Isolation: oci(), OldVersion: f.OldVersion, HostName: true, Reduced: "isolation oci: " + f.NoHostname + ": RUN steps have this host's name"}
	case f.Chroot == "":
		return Choice{Isolation: define.IsolationChroot, Reduced: "isolation chroot: " + f.OCI + ": RUN steps share this host's network and processes"}
	}
	return Choice{Isolation: define.IsolationChroot, Reduced: "no isolation: " + f.OCI + ", and a chroot is refused too (" + f.Chroot + "): RUN steps cannot work"}
}

// Explain is for a build with an isolation that the user chose, which failed: it
// says why the runtime cannot run steps here; empty if it can.
func Explain(ctx context.Context, name string, host Host) string {
	if name != "oci" && name != "rootless" {
		return ""
	}
	found, err := Find(ctx, host)
	switch {
	case err != nil || found.OCI == "" && found.NoHostname == "":
		return ""
	case found.OCI == "":
		return fmt.Sprintf("isolation %s: %s; or use --isolation auto", name, found.NoHostname)
	}
	return fmt.Sprintf("isolation %s: %s; or use --isolation chroot", name, found.OCI)
}

// Find answers from what is kept, or tries.
func Find(ctx context.Context, host Host) (Found, error) {
	if host.Runtime == "" {
		f := Found{OCI: "there is no OCI runtime"}
		if host.RuntimeErr != nil {
			f.OCI = host.RuntimeErr.Error()
		}
		return probeChroot(ctx, host, f)
	}
	key, err := keyOf(host)
	if err != nil {
		return Found{}, err
	}
	if found, ok := recall(host.RunDir, key); ok {
		return found, nil
	}
	found, err := probe(ctx, host)
	if err != nil {
		return Found{}, err
	}
	keep(host.RunDir, key, found)
	return found, nil
}

// probe tries the runtime with all that a step gets, then with an older version, then
// without a host name, then a chroot.
func probe(ctx context.Context, host Host) (Found, error) {
	var found Found
	step := trial{version: rspec.Version, hostname: true}
	refusal, err := tryRuntime(ctx, host, step)
	if err == nil && strings.Contains(refusal, "unknown version") { // crun 1.8
		step.version, found.OldVersion = oldVersion, true
		refusal, err = tryRuntime(ctx, host, step)
	}
	if err != nil || refusal == "" {
		return found, err
	}
	name := text(host.Runtime, refusal)
	if strings.Contains(refusal, "hostname") {
		step.hostname = false
		again, err := tryRuntime(ctx, host, step)
		if err != nil {
			return Found{}, err
		}
		if again == "" {
			found.NoHostname = name
			return found, nil
		}
		name = text(host.Runtime, again)
	}
	return probeChroot(ctx, host, Found{OCI: name})
}

func probeChroot(ctx context.Context, host Host, f Found) (Found, error) {
	refusal, err := tryChroot(ctx, host)
	f.Chroot = refusal
	return f, err
}

// text makes one line of what a runtime said, and names what mends it.
func text(runtime, refusal string) string {
	name := runtime[strings.LastIndexByte(runtime, '/')+1:]
	line := name + ": " + strings.TrimPrefix(refusal, name+": ")
	if remedy := nested.Remedy(refusal); remedy != "" {
		line += " (" + remedy + ")"
	}
	return line
}
