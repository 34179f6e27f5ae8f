// Package network connects containers: it makes their network namespaces,
// starts the program that links one to the host (pasta, slirp4netns), publishes
// ports, and writes /etc/hosts and /etc/resolv.conf. Which container joins which
// namespace, and when, is libpod's matter.
//
// The programs are the drivers, one folder each. They outlive pod and are ended
// by Teardown, through their identity and never by a bare pid.
package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/network/bridge"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netns"
	"github.com/rootless-pod/pod/pkg/network/pasta"
	"github.com/rootless-pod/pod/pkg/network/shared"
	"github.com/rootless-pod/pod/pkg/network/slirp4netns"
	"github.com/rootless-pod/pod/pkg/network/tune"
	"github.com/rootless-pod/pod/pkg/network/usernet"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// The drivers, as Mode returns them and Result records them.
const (
	None      = "none"
	Host      = "host"
	Container = "container"
	Path      = "ns"
	Pasta     = "pasta"
	Slirp     = "slirp4netns"
	Bridge    = specgen.Bridge
)

// Helper says which programs there are and what containers.conf says of them.
type Helper struct {
	// Pasta and Slirp4netns are resolved paths, empty if not installed.
	Pasta, Slirp4netns string
	// PastaOptions and SlirpOptions come before those of the command line.
	PastaOptions, SlirpOptions []string
	// Default is containers.conf's default_rootless_network_cmd.
	Default string
}

// Request asks for the network of one container.
type Request struct {
	// ID of the container.
	ID   string
	Spec specgen.Network
	// Rootless: pod is root only in a user namespace of its own.
	Rootless bool
	// NetNSDir holds the namespaces as bind-mounted files. AppArmor profiles of
	// pasta know $XDG_RUNTIME_DIR/netns and /run/netns.
	NetNSDir string
	// RunDir holds short-lived files and what is known of the programs.
	RunDir string
	// JoinNetNS is the namespace of the other container, for container:ID.
	JoinNetNS string
	Helpers   Helper
	// Bridge connects to networks, with Name and Hostname, for mode bridge.
	Bridge         *bridge.Manager
	Name, Hostname string
	// Shared is the user's namespace, whose pasta serves containers of the default
	// network that publish nothing; nil: each has its own. Share says whether this one
	// is to be so served; it is asked only of those that can be.
	Shared *usernet.Config
	Share  func() bool
}

// Result is a container's network; it is recorded as JSON for Teardown.
type Result struct {
	// Driver is one of the constants of this package.
	Driver string `json:"driver"`
	// NetNS is the namespace's path, or "host".
	NetNS string `json:"netns"`
	// Shared: it is behind the pasta of the user's namespace.
	Shared bool `json:"shared,omitempty"`
	// Own: the namespace was made here and ends with Teardown.
	Own bool `json:"own,omitempty"`
	// Helper is the program behind it, if one runs.
	Helper process.ID `json:"helper"`
	// Ports are the published ports with random host ports resolved.
	Ports []specgen.PortMapping `json:"ports,omitempty"`
	// KeepsSource: the container sees the addresses of those who use its ports,
	// other than this host's own loopback.
	KeepsSource bool `json:"keeps_source,omitempty"`
	// Addresses of the container.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// DNS are name servers that exist only in this namespace.
	DNS []string `json:"dns,omitempty"`
	// Connections are the networks of driver bridge.
	Connections []bridge.Connection `json:"connections,omitempty"`
	// HostAddress reaches the host (host.containers.internal); may be empty.
	HostAddress string `json:"host_address,omitempty"`
	// Warnings are for the user of this start and are not recorded.
	Warnings []string `json:"-"`
}

// Mode reads a network mode. Options are those after the colon; for container
// and ns it is the one name or path. configured is what containers.conf makes
// the default of rootless containers.
func Mode(spec specgen.Network, rootless bool, configured string) (driver string, options []string, err error) {
	name, rest, colon := strings.Cut(spec.Mode, ":")
	switch name {
	case "", "default", "private":
		if colon {
			break
		}
		if rootless && configured == Slirp {
			return Slirp, nil, nil
		}
		return Pasta, nil, nil
	case None, Host, Bridge:
		if colon {
			return "", nil, fmt.Errorf("network %q: %s takes no options", spec.Mode, name)
		}
		return name, nil, nil
	case Container, Path:
		if rest == "" {
			return "", nil, fmt.Errorf("network %q: write %s:%s", spec.Mode, name, map[string]string{Container: "ID", Path: "PATH"}[name])
		}
		return name, []string{rest}, nil
	case Pasta, Slirp:
		if rest != "" {
			options = strings.Split(rest, ",")
		}
		return name, options, nil
	}
	return "", nil, fmt.Errorf("network mode %q is unknown: use bridge, pasta, slirp4netns, host, none, container:ID or ns:PATH", spec.Mode)
}

// driver is a helper under way. Wait returns the link, which names the process
// even when there is an error; Kill is for a helper that was not waited for.
type driver interface {
	Wait(ctx context.Context) (link.Link, error)
	Kill(ctx context.Context) error
}

// Pending is a network under way.
type Pending struct {
	req     Request
	options []string
	result  Result
	driver  driver
	sockets []*os.File
	tries   int
}

// Begin makes the namespace and starts the helper, and waits for neither more.
func Begin(ctx context.Context, req Request) (*Pending, error) {
	name, options, err := Mode(req.Spec, req.Rootless, req.Helpers.Default)
	if err != nil {
		return nil, err
	}
	p := &Pending{req: req, options: options, result: Result{Driver: name}}
	switch name {
	case Host:
		p.result.NetNS = Host
		p.result.HostAddress = "127.0.0.1"
		p.ignorePorts()
		return p, nil
	case Path, Container:
		p.result.NetNS = req.JoinNetNS
		if name == Path {
			p.result.NetNS = options[0]
		}
		if len(req.Spec.Ports) > 0 {
			return nil, fmt.Errorf("network %q: ports cannot be published on a network namespace of another", req.Spec.Mode)
		}
		if p.result.NetNS == Host {
			return p, nil // the other container is on the host's network
		}
		if err := netns.Check(p.result.NetNS); err != nil {
			return nil, fmt.Errorf("network %q: %w", req.Spec.Mode, err)
		}
		return p, nil
	}
	// The path is made from the id: one with a separator would leave the folder.
	if req.ID == "" || filepath.Base(req.ID) != req.ID || req.ID == "." || req.ID == ".." {
		return nil, fmt.Errorf("network of container %q: not a container id", req.ID)
	}
	if err := p.takePorts(); err != nil {
		return nil, err
	}
	p.result.Shared = name == Pasta && req.Shared != nil && req.Rootless && len(req.Spec.Ports) == 0 &&
		!strings.HasPrefix(req.Spec.Mode, Pasta) && len(req.Helpers.PastaOptions) == 0 && req.Helpers.Pasta != "" && req.Share()
	p.result.NetNS = filepath.Join(req.NetNSDir, req.ID)
	var setup []func() error
	if name == Pasta || name == Bridge && req.Rootless {
		setup = append(setup, tune.Sender)
	}
	if err := netns.Create(p.result.NetNS, setup...); err != nil {
		closeAll(p.sockets)
		return nil, err
	}
	p.result.Own = true
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, netns.Remove(p.result.NetNS))
	}
	return p, nil
}

// takePorts chooses the host's ports, and keeps the sockets where pod listens
// itself.
func (p *Pending) takePorts() (err error) {
	switch {
	case p.result.Driver == None:
		p.ignorePorts()
	case p.result.Driver == Bridge && p.req.Rootless:
		var sockets held
		p.result.Ports, sockets, err = holdPorts(p.req.Spec.Ports)
		p.sockets = sockets.files()
	default:
		p.result.Ports, err = ResolvePorts(p.req.Spec.Ports)
		p.result.KeepsSource = p.result.Driver != Slirp
	}
	return err
}

func (p *Pending) ignorePorts() {
	if len(p.req.Spec.Ports) > 0 {
		p.result.Warnings = append(p.result.Warnings, "published ports are ignored with --network "+p.result.Driver)
	}
}

// start starts the helper of the result's driver.
func (p *Pending) start(ctx context.Context) error {
	h := p.req.Helpers
	switch p.result.Driver {
	case Pasta:
		if p.result.Shared {
			p.driver = share(ctx, p.req, p.result)
			return nil
		}
		d, err := pasta.Start(ctx, pasta.Options{
			Path: h.Pasta, NetNS: p.result.NetNS, Ports: p.result.Ports,
			Extra:    append(append([]string(nil), h.PastaOptions...), p.options...),
			RealRoot: !p.req.Rootless, CacheDir: p.req.RunDir,
			PIDFile: filepath.Join(p.req.RunDir, p.req.ID+".pasta.pid"),
		})
		if err != nil {
			return err
		}
		p.driver = d
	case Slirp:
		d, err := slirp4netns.Start(ctx, slirp4netns.Options{
			Path: h.Slirp4netns, NetNS: p.result.NetNS, Ports: p.result.Ports,
			Extra:  append(append([]string(nil), h.SlirpOptions...), p.options...),
			Socket: socketPath(p.req.RunDir, p.req.ID),
		})
		if err != nil {
			return err
		}
		p.driver = d
	case Bridge:
		p.driver = connect(ctx, p.req, p.result, p.sockets)
		p.sockets = nil // closed by it
	}
	return nil
}

// socketPath is short: a socket's path has 107 bytes at most.
func socketPath(dir, id string) string {
	return filepath.Join(dir, "slirp-"+id[:min(len(id), 16)])
}

// NetNS is the path the container is to join, or "host". It is valid before
// Wait.
func (p *Pending) NetNS() string { return p.result.NetNS }

// Wait returns when the network is ready. On error everything is undone.
func (p *Pending) Wait(ctx context.Context) (*Result, error) {
	for p.driver != nil {
		l, err := p.driver.Wait(ctx)
		if b, ok := p.driver.(*bridged); ok && err == nil {
			b.record(&p.result)
		}
		p.driver = nil
		p.result.Helper = l.Process
		if err == nil {
			p.result.Addresses, p.result.DNS, p.result.HostAddress = l.Addresses, l.DNS, l.HostAddress
			p.result.Warnings = append(p.result.Warnings, l.Warnings...)
			if p.result.HostAddress == "" {
				p.result.HostAddress = otherHostAddress(l.Addresses)
			}
			break
		}
		if err := p.again(ctx, err); err != nil {
			return nil, errors.Join(err, p.Abort(ctx))
		}
	}
	return &p.result, nil
}

// again decides what follows a helper's failure: nil when another one was
// started, or when the container can do without.
func (p *Pending) again(ctx context.Context, cause error) error {
	if err := link.Stop(ctx, p.result.Helper); err != nil {
		return errors.Join(cause, err)
	}
	p.result.Helper = process.ID{}
	switch {
	case ctx.Err() != nil:
		return cause
	case p.result.Shared:
		if !errors.Is(cause, shared.ErrUnavailable) {
			p.result.Warnings = append(p.result.Warnings, "the container has a pasta of its own: "+cause.Error())
		}
		p.result.Shared = false
		return p.start(ctx)
	case errors.Is(cause, link.ErrPort):
		// Somebody took a port between the check and now. A fixed one gets the
		// check's clear answer, a random one another number.
		ports, err := ResolvePorts(p.req.Spec.Ports)
		if err != nil {
			return err
		}
		if p.tries++; p.tries > 4 {
			return cause
		}
		p.result.Ports = ports
		return p.start(ctx)
	case errors.Is(cause, link.ErrNoRoute) && p.req.Spec.Mode == "":
		return p.withoutRoute(ctx)
	}
	return cause
}

// withoutRoute is for a host without any routed interface, where pasta refuses
// to start. slirp4netns does not need one.
func (p *Pending) withoutRoute(ctx context.Context) error {
	const why = "this host has no network interface with a route, which pasta needs"
	if p.req.Helpers.Slirp4netns != "" {
		p.result.Driver, p.result.KeepsSource, p.options = Slirp, false, nil
		p.result.Warnings = append(p.result.Warnings, why+": using slirp4netns")
		return p.start(ctx)
	}
	if len(p.result.Ports) > 0 {
		return fmt.Errorf("cannot publish ports: %s: install slirp4netns, or use --network host", why)
	}
	p.result.Driver = None
	p.result.Warnings = append(p.result.Warnings, why+": the container has loopback only (install slirp4netns for more)")
	return nil
}

// Abort undoes Begin, also when ctx was canceled; it may be called at any time
// before the result is used.
func (p *Pending) Abort(ctx context.Context) error {
	var err error
	if p.driver != nil {
		err = p.driver.Kill(ctx)
		p.driver = nil
	}
	if p.result.Shared {
		err = errors.Join(err, shared.Leave(context.WithoutCancel(ctx), *p.req.Shared, p.req.ID, p.result.NetNS))
	}
	if p.result.Driver == Bridge {
		err = errors.Join(err, p.req.Bridge.Leave(context.WithoutCancel(ctx), p.req.ID))
	}
	return errors.Join(err, Teardown(context.WithoutCancel(ctx), p.result))
}

// Teardown ends the helper and removes the namespace. It may be called again,
// and for a result of which a part is gone already. With published ports it
// waits for the helper's end, 15 to 50 ms, since until then they are taken;
// without, it takes 0.1 ms.
func Teardown(ctx context.Context, r Result) error {
	end := link.Kill
	if len(r.Ports) > 0 {
		end = func(id process.ID) error { return link.Stop(ctx, id) }
	}
	err := end(r.Helper)
	if r.Own && r.NetNS != "" && r.NetNS != Host {
		err = errors.Join(err, netns.Remove(r.NetNS))
	}
	return err
}

// Undo removes whatever a pod that was killed between Begin and the recording
// of its result has left for a container. It looks at every process, so it is
// for recovery only.
func Undo(ctx context.Context, req Request) error {
	path := filepath.Join(req.NetNSDir, req.ID)
	errs := []error{link.StopAll(ctx, path)}
	if req.Bridge != nil {
		errs = append(errs, req.Bridge.Leave(ctx, req.ID))
	}
	for _, file := range []string{filepath.Join(req.RunDir, req.ID+".pasta.pid"), socketPath(req.RunDir, req.ID)} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove network of %s: %w", req.ID, err))
		}
	}
	return errors.Join(append(errs, netns.Remove(path))...)
}

// otherHostAddress is an address of the host that is not the container's too:
// pasta gives the container the host's own, which then means itself.
func otherHostAddress(container []netip.Prefix) string {
	addrs, err := netns.LocalAddresses()
	if err != nil {
		return ""
	}
	own := make(map[netip.Addr]bool, len(container))
	for _, c := range container {
		own[c.Addr()] = true
	}
	var six string
	for _, a := range addrs {
		switch ip := a.Addr(); {
		case own[ip]:
		case ip.Is4():
			return ip.String()
		case six == "":
			six = ip.String()
		}
	}
	return six
}
