package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/buildah/define"
	"go.podman.io/common/pkg/config"

	"github.com/rootless-pod/pod/internal/nested"
	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/pasta"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Net is what the network of RUN steps is made with.
type Net struct {
	Rootless bool
	// NetNSDir and RunDir are those of containers.
	NetNSDir, RunDir string
	Helpers          network.Helper
	// Warn takes what is less than usual, one line each.
	Warn func(string)
}

// netPrefix begins the names of builds' namespaces; pid and start time follow.
const netPrefix = "build-"

// connect gives the steps the network they can have. buildah starts pasta for each
// step, and cannot where pasta is too old for it, or missing, or pod is real root;
// then one namespace is made here, for all steps of the build. The function returned
// takes it down.
func connect(ctx context.Context, n Net, opts *define.BuildOptions) (down func() error, err error) {
	none := func() error { return nil }
	mode, ours := wantedNetwork(opts)
	if !ours {
		return none, nil
	}
	if err := link.CheckTun(); err != nil {
		if mode != "" {
			return none, fmt.Errorf("--network %s: %w", mode, err)
		}
		reason, _, _ := strings.Cut(err.Error(), ", or use")
		if nested.Contained() {
			reason = "/dev/net/tun is not to be had in this container (start it with --device /dev/net/tun)"
		}
		n.stepHost(opts, reason)
		return none, nil
	}
	name, _, err := network.Mode(specgen.Network{Mode: mode}, true, n.Helpers.Default)
	if err != nil {
		return none, err
	}
	if name == network.Pasta {
		switch able, err := pasta.MapsGuest(ctx, n.Helpers.Pasta, n.RunDir); {
		case n.Helpers.Pasta == "" && mode == "" && n.Helpers.Slirp4netns != "":
			mode = network.Slirp
			n.Warn("the network of RUN steps is slirp4netns's: pasta is not installed (package passt)")
		case n.Helpers.Pasta == "" && mode == "":
			n.stepHost(opts, "neither pasta (package passt) nor slirp4netns is installed")
			return none, nil
		case err != nil:
			return none, err
		case able && n.Rootless && routed():
			return none, nil // buildah's own way
		}
	}
	return n.join(ctx, mode, opts)
}

// wantedNetwork is the mode of the steps' network, and whether it is to be made: not
// for a chroot, which has the host's, and not for what was named.
func wantedNetwork(opts *define.BuildOptions) (mode string, ours bool) {
	if opts.Isolation == define.IsolationChroot || opts.ConfigureNetwork == define.NetworkDisabled {
		return "", false
	}
	ns := namespaces(opts).Find(string(specs.NetworkNamespace))
	switch {
	case ns == nil:
		return "", true
	case ns.Host || filepath.IsAbs(ns.Path):
		return "", false
	}
	return ns.Path, true
}

// stepHost leaves the steps on this host's network and says so.
func (n Net) stepHost(opts *define.BuildOptions, reason string) {
	setNetwork(opts, define.NamespaceOption{Host: true})
	n.Warn("RUN steps are on this host's network: " + reason + "; --network none keeps them off")
	if err := n.scanHost(opts); err != nil {
		n.Warn(err.Error())
	}
}

// scanHost leaves scanners on this host's network: buildah gives them what the field's
// configuration says, and cannot give them here what it says.
func (n Net) scanHost(opts *define.BuildOptions) error {
	if len(opts.SBOMScanOptions) == 0 {
		return nil
	}
	conf, err := config.Default()
	if err != nil {
		return fmt.Errorf("network of scanners: %w", err)
	}
	conf.Containers.NetNS = "host"
	n.Warn("scanners of --sbom are on this host's network")
	return nil
}

func namespaces(opts *define.BuildOptions) *define.NamespaceOptions {
	all := define.NamespaceOptions(opts.NamespaceOptions)
	return &all
}

func setNamespace(opts *define.BuildOptions, ns define.NamespaceOption) {
	all := namespaces(opts)
	all.AddOrReplace(ns)
	opts.NamespaceOptions = *all
}

func setNetwork(opts *define.BuildOptions, ns define.NamespaceOption) {
	ns.Name = string(specs.NetworkNamespace)
	setNamespace(opts, ns)
	opts.ConfigureNetwork = define.NetworkEnabled
}

// join makes a namespace with pod's own drivers and puts the steps into it.
func (n Net) join(ctx context.Context, mode string, opts *define.BuildOptions) (down func() error, err error) {
	sweep(ctx, n)
	if err := n.scanHost(opts); err != nil {
		return nil, err
	}
	self := process.Self()
	pending, err := network.Begin(ctx, network.Request{
		ID: fmt.Sprintf("%s%d-%d", netPrefix, self.PID, self.Start), Spec: specgen.Network{Mode: mode}, Rootless: n.Rootless,
		NetNSDir: n.NetNSDir, RunDir: n.RunDir, Helpers: n.Helpers,
	})
	if err != nil {
		return nil, fmt.Errorf("network of RUN steps: %w", err)
	}
	result, err := pending.Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("network of RUN steps: %w", err)
	}
	for _, w := range result.Warnings {
		n.Warn("the network of RUN steps: " + w)
	}
	setNetwork(opts, define.NamespaceOption{Path: result.NetNS})
	if len(opts.CommonBuildOpts.DNSServers) == 0 {
		opts.CommonBuildOpts.DNSServers = result.DNS
	}
	if result.HostAddress != "" {
		opts.CommonBuildOpts.AddHost = append(opts.CommonBuildOpts.AddHost, "host.containers.internal:"+result.HostAddress)
	}
	return func() error { return network.Teardown(context.WithoutCancel(ctx), *result) }, nil
}

// sweep takes down the namespaces of builds that were killed. What cannot be taken
// down now is left for the next build.
func sweep(ctx context.Context, n Net) {
	paths, _ := filepath.Glob(filepath.Join(n.NetNSDir, netPrefix+"*"))
	for _, path := range paths {
		var id process.ID
		name := filepath.Base(path)
		if _, err := fmt.Sscanf(name, netPrefix+"%d-%d", &id.PID, &id.Start); err != nil || id.Alive() {
			continue
		}
		_ = network.Undo(ctx, network.Request{ID: name, NetNSDir: n.NetNSDir, RunDir: n.RunDir})
	}
}

// routed says whether this host has a default route, without which pasta does not
// start.
func routed() bool {
	v4, _ := os.ReadFile("/proc/net/route")
	for line := range strings.Lines(string(v4)) {
		if f := strings.Fields(line); len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			return true
		}
	}
	v6, _ := os.ReadFile("/proc/net/ipv6_route")
	for line := range strings.Lines(string(v6)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.Trim(f[0], "0") == "" && f[1] == "00" && f[9] != "lo" {
			return true
		}
	}
	return false
}
