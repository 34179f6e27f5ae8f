package libpod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/jsononce"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/network/shared"
	"github.com/rootless-pod/pod/pkg/network/usernet"
)

// networkRequest is what the network package must know of the container.
func (e *Engine) networkRequest(ctx context.Context, c *state.Container) (network.Request, error) {
	req := network.Request{
		ID: c.ID, Spec: c.Spec.Network, Rootless: e.Session.Rootless, NetNSDir: e.paths.netns, RunDir: e.paths.net,
		Helpers: e.netHelpers(), Hostname: e.hostname(c),
	}
	if c.Spec.Network.Mode == "" && e.Session.Rootless && e.ShareNetwork != nil {
		want, err := e.ShareNetwork()
		if err != nil {
			return req, err
		}
		cfg := e.UserNet()
		req.Shared = &cfg
		req.Share = func() bool { return e.sharesNetwork(ctx, c, cfg, want) }
	}
	if c.Spec.Network.Mode == network.Bridge {
		req.Bridge, req.Name = e.networks(), e.networkName(ctx, c)
	}
	if mode, ok := strings.CutPrefix(c.Spec.Network.Mode, "container:"); ok {
		target, err := e.running(ctx, mode, "join the network of")
		if err != nil {
			return req, err
		}
		req.JoinNetNS = fmt.Sprintf("/proc/%d/ns/net", target.Run.Init.PID)
	}
	return req, nil
}

// sharesNetwork says whether a container of the default network goes behind the
// user's pasta. Without a wish the first one has its own, which is sooner there, and
// so have those that go soon, unless the way is made.
func (e *Engine) sharesNetwork(ctx context.Context, c *state.Container, cfg usernet.Config, want *bool) bool {
	if want != nil {
		return *want
	}
	return shared.InUse(cfg) || !c.Spec.Remove && e.hasCompany(ctx, c)
}

// hasCompany says whether a container that stays has a pasta of its own beside c.
func (e *Engine) hasCompany(ctx context.Context, c *state.Container) bool {
	const most = 32 // namespaces that are looked at
	entries, err := os.ReadDir(e.paths.netns)
	if err != nil {
		return false
	}
	for _, entry := range entries[:min(len(entries), most)] {
		if entry.Name() == c.ID {
			continue
		}
		other, err := e.state.Get(ctx, entry.Name())
		if err != nil || other.Spec.Remove || other.Spec.Network.Mode != "" {
			continue
		}
		if result, ok := NetworkOf(other); ok && result.Driver == network.Pasta && isLive(e.status(other)) {
			return true
		}
	}
	return false
}

// netHelpers finds the programs that connect containers.
func (e *Engine) netHelpers() network.Helper {
	find := func(name string) string {
		path, err := e.Config.FindHelperBinary(name, true)
		if err != nil {
			return ""
		}
		return path
	}
	return network.Helper{
		Pasta: find("pasta"), PastaOptions: e.Config.Network.PastaOptions.Get(),
		Slirp4netns: find("slirp4netns"), SlirpOptions: e.Config.Engine.NetworkCmdOptions.Get(),
		Default: e.Config.Network.DefaultRootlessNetworkCmd,
	}
}

// beginNetwork makes the namespace and starts the helper, without waiting.
func (e *Engine) beginNetwork(ctx context.Context, c *state.Container, l *launch) error {
	req, err := e.networkRequest(ctx, c)
	if err != nil {
		return err
	}
	if l.net, err = network.Begin(ctx, req); err != nil {
		return e.whoHasPort(ctx, err)
	}
	l.netns = l.net.NetNS()
	return nil
}

// finishNetwork waits for the helper and records what its end needs.
func (e *Engine) finishNetwork(ctx context.Context, c *state.Container, l *launch) error {
	result, err := l.net.Wait(ctx)
	if err != nil {
		return err
	}
	l.net = nil
	if err := e.placeHelper(ctx, c, result.Helper); err != nil {
		return err
	}
	if result.Driver == network.Container {
		e.inheritNetwork(ctx, c, result)
	}
	if err := e.keepPorts(ctx, c, result); err != nil {
		return err
	}
	if err := noteNetwork(c, result); err != nil {
		return err
	}
	if c.Spec.Network.Shape.Given() {
		if err := e.shapeNetwork(ctx, c, result); err != nil {
			return err
		}
	}
	for _, w := range result.Warnings {
		e.Warn(w)
	}
	return e.writeNetFiles(ctx, c, l, result)
}

// inheritNetwork takes over what is known of the namespace that is joined: its
// addresses, and name servers that exist in it alone.
func (e *Engine) inheritNetwork(ctx context.Context, c *state.Container, result *network.Result) {
	target, err := e.state.Lookup(ctx, strings.TrimPrefix(c.Spec.Network.Mode, "container:"))
	if err != nil {
		return
	}
	if theirs, ok := NetworkOf(target); ok {
		result.Addresses, result.DNS, result.HostAddress = theirs.Addresses, theirs.DNS, theirs.HostAddress
		result.Connections = theirs.Connections
	}
}

// noteNetwork puts into a record what the network package said, for NetworkOf.
func noteNetwork(c *state.Container, result *network.Result) (err error) {
	if c.Run.Network, err = jsononce.Marshal(result); err != nil {
		err = fmt.Errorf("encode the network of container %s: %w", short(c.ID), err)
	}
	return err
}

// NetworkOf is what the network package said of a container that runs.
func NetworkOf(c *state.Container) (network.Result, bool) {
	var result network.Result
	if c.Run == nil || len(c.Run.Network) == 0 || jsononce.Unmarshal(c.Run.Network, &result) != nil {
		return network.Result{}, false
	}
	return result, true
}

// noDNS says whether a container is to keep the image's resolv.conf.
func noDNS(c *state.Container) bool {
	servers := c.Spec.Network.DNS
	return len(servers) == 1 && servers[0] == "none"
}

// bindsAll says whether a container has all mounts that writeFiles makes. With mounts of its
// user it is not so simple: a new volume would take over what is in the image below it.
func bindsAll(c *state.Container) bool {
	return len(c.Spec.Storage.Mounts) == 0 && len(c.Spec.Storage.VolumesFrom) == 0 &&
		!c.Spec.Network.NoHosts && !c.Spec.Network.NoHostname && !noDNS(c)
}

// writeFiles makes the files that are bound into the container. Their content
// that depends on the network is written when that is up: the bind is of the
// file, so the container sees it.
func (e *Engine) writeFiles(ctx context.Context, c *state.Container, l *launch) error {
	bind := func(name, destination string) {
		l.binds = append(l.binds, rspec.Mount{
			Destination: destination, Type: "bind", Source: filepath.Join(l.dir, name),
			Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec"},
		})
	}
	n := &c.Spec.Network
	files := map[string]string{}
	if !n.NoHosts && !mounts(c, "/etc/hosts") {
		if hosts, ok := e.podHosts(ctx, c); ok {
			l.binds = append(l.binds, rspec.Mount{
				Destination: "/etc/hosts", Type: "bind", Source: hosts, Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec"},
			})
		} else {
			files["hosts"] = ""
			bind("hosts", "/etc/hosts")
		}
	}
	if !noDNS(c) && !mounts(c, "/etc/resolv.conf") {
		files["resolv.conf"] = ""
		bind("resolv.conf", "/etc/resolv.conf")
	}
	if !n.NoHostname && !mounts(c, "/etc/hostname") {
		files["hostname"] = e.hostname(c) + "\n"
		bind("hostname", "/etc/hostname")
	}
	if !mounts(c, "/run/.containerenv") && !mounts(c, "/run") {
		files["containerenv"] = containerEnv(c, e.Session.Rootless)
		bind("containerenv", "/run/.containerenv")
	}
	if c.Spec.Process.Timezone != "" && !mounts(c, "/etc/localtime") {
		zone, err := zoneData(c.Spec.Process.Timezone)
		if err != nil {
			return err
		}
		files["localtime"] = string(zone)
		bind("localtime", "/etc/localtime")
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(content), 0o644); err != nil { //nolint:gosec // every user of the container reads it
			return fmt.Errorf("write %s of container %s: %w", name, short(c.ID), err)
		}
	}
	if c.Spec.Process.Init {
		l.binds = append(l.binds, rspec.Mount{
			Destination: initInside, Type: "bind", Source: c.Spec.Process.InitPath,
			Options: []string{"bind", "ro", "rprivate"},
		})
	}
	l.binds = append(l.binds, e.secretBinds(c)...)
	if target, ok := joinsIPC(c); ok {
		return e.shareShm(ctx, c, target, l)
	}
	return nil
}

// mounts says whether the user mounts something of his own at path.
func mounts(c *state.Container, path string) bool {
	for _, m := range c.Spec.Storage.Mounts {
		if filepath.Clean(m.Destination) == path {
			return true
		}
	}
	return false
}

// containerEnv is the file by which programs know that they are contained. It
// tells a privileged container who it is, as in the field.
func containerEnv(c *state.Container, rootless bool) string {
	if !c.Spec.Security.Privileged {
		return ""
	}
	yes := 0
	if rootless {
		yes = 1
	}
	return fmt.Sprintf("engine=\"pod\"\nname=%q\nid=%q\nimage=%q\nimageid=%q\nrootless=%d\n",
		c.Name, c.ID, c.ImageName, c.ImageID, yes)
}

// writeNetFiles fills hosts and resolv.conf.
func (e *Engine) writeNetFiles(ctx context.Context, c *state.Container, l *launch, result *network.Result) error {
	n := &c.Spec.Network
	if hosts, ok := e.podHosts(ctx, c); ok && !mounts(c, "/etc/hosts") {
		if err := addPodHost(hosts, c.Name); err != nil {
			return err
		}
	} else if !n.NoHosts && !mounts(c, "/etc/hosts") {
		hosts := network.Hosts{
			Base: hostsBase(n.HostsFile, e.Config.Containers.BaseHostsFile), Rootfs: l.root, AddHosts: n.AddHosts,
			Addresses: result.Addresses, Names: []string{e.hostname(c), c.Name}, HostAddress: result.HostAddress,
		}
		if err := hosts.Write(filepath.Join(l.dir, "hosts")); err != nil {
			return err
		}
	}
	if noDNS(c) || mounts(c, "/etc/resolv.conf") {
		return nil
	}
	return e.resolvOf(c, result).Write(filepath.Join(l.dir, "resolv.conf"))
}

// resolvOf is the container's resolv.conf. Where its networks answer for names,
// they are asked for all; the user's servers are asked by them.
func (e *Engine) resolvOf(c *state.Container, result *network.Result) network.Resolv {
	n, conf := &c.Spec.Network, &e.Config.Containers
	resolv := network.Resolv{
		Servers: or(n.DNS, conf.DNSServers.Get()), Search: or(n.DNSSearch, conf.DNSSearches.Get()),
		Options: or(n.DNSOptions, conf.DNSOptions.Get()), Forward: result.DNS,
		HostNetwork: result.NetNS == network.Host, IPv6: hasIPv6(result),
	}
	if servers, search := result.Names(); len(servers) > 0 {
		resolv.Servers, resolv.Domains = servers, search
	}
	return resolv
}

// hostsBase is the user's base of /etc/hosts, or the configured one.
func hostsBase(user, configured string) string {
	if user != "" {
		return user
	}
	return configured
}

// or returns the user's list, or what is configured.
func or(user, configured []string) []string {
	if len(user) > 0 {
		return user
	}
	return configured
}

func hasIPv6(r *network.Result) bool {
	for _, a := range r.Addresses {
		if a.Addr().Is6() && !a.Addr().IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// zoneData is the content of /etc/localtime for a zone of the host's database;
// "local" is the host's own.
func zoneData(zone string) ([]byte, error) {
	path := "/etc/localtime"
	if zone != "local" {
		dir := os.Getenv("TZDIR")
		if dir == "" {
			dir = "/usr/share/zoneinfo"
		}
		path = filepath.Join(dir, zone)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("finding timezone %s: %w: install tzdata on the host, or name another zone", zone, err)
	}
	return data, nil
}
