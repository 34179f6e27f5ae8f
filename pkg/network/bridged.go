package network

import (
	"context"
	"os"
	"slices"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/network/bridge"
	"github.com/rootless-pod/pod/pkg/network/forward"
	"github.com/rootless-pod/pod/pkg/network/link"
)

// bridged is a connect to networks under way. It goes on beside everything else
// of a start. Its helper is the forwarder of published ports, if there are some.
type bridged struct {
	cancel    context.CancelFunc
	done      chan struct{}
	joined    *bridge.Joined
	forwarder process.ID
	// keeps: the container sees the addresses of its clients.
	keeps bool
	err   error
}

// connect begins to connect a container to its networks. The sockets are those of
// the published ports, for the forwarder; real root's are the firewall's.
func connect(ctx context.Context, req Request, result Result, sockets []*os.File) *bridged {
	ctx, cancel := context.WithCancel(ctx)
	b := &bridged{cancel: cancel, done: make(chan struct{}), keeps: true}
	go func() {
		defer close(b.done)
		defer closeAll(sockets)
		b.joined, b.err = req.Bridge.Connect(ctx, bridge.Container{
			ID: req.ID, Name: req.Name, Hostname: req.Hostname, NetNS: result.NetNS,
			Attachments: req.Spec.Networks, Ports: result.Ports, DNS: servers(req.Spec.DNS),
		})
		if b.err == nil && len(sockets) > 0 {
			b.err = step.Do(ctx, "network.forward", func() error { return b.forward(ctx, result, sockets) })
		}
	}()
	return b
}

// forward starts the forwarder of published ports.
func (b *bridged) forward(ctx context.Context, result Result, sockets []*os.File) error {
	opts := forward.Options{NetNS: result.NetNS, Ports: result.Ports, Sockets: sockets}
	for _, c := range b.joined.Connections {
		opts.Addresses = append(opts.Addresses, c.Addresses...)
		opts.Gateways = append(opts.Gateways, c.Gateways...)
	}
	f, err := forward.Start(opts)
	if err != nil {
		return err
	}
	b.forwarder, err = f.Wait(ctx)
	b.keeps = f.Keeps
	return err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // only a descriptor
	}
}

// servers are the user's name servers; none keeps a file of the image.
func servers(dns []string) []string {
	if len(dns) == 1 && dns[0] == "none" {
		return nil
	}
	return dns
}

// Wait returns what the container was given.
func (b *bridged) Wait(ctx context.Context) (link.Link, error) {
	stop := context.AfterFunc(ctx, b.cancel)
	defer stop()
	<-b.done
	b.cancel()
	if b.err != nil {
		return link.Link{Process: b.forwarder}, b.err
	}
	l := link.Link{Process: b.forwarder, DNS: b.joined.Forward, HostAddress: b.joined.HostAddress, Warnings: b.joined.Warnings}
	for _, c := range b.joined.Connections {
		l.Addresses = append(l.Addresses, c.Addresses...)
	}
	return l, nil
}

// record puts the networks into the result.
func (b *bridged) record(r *Result) { r.Connections, r.KeepsSource = b.joined.Connections, b.keeps }

// Kill gives up. A connect that ended well all the same is undone by Leave.
func (b *bridged) Kill(ctx context.Context) error {
	b.cancel()
	<-b.done
	return link.Stop(context.WithoutCancel(ctx), b.forwarder)
}

// Names returns the name servers and search domains of the networks a container
// is on, where its networks answer for names.
func (r Result) Names() (servers, search []string) {
	for _, c := range r.Connections {
		servers = append(servers, c.DNS...)
		for _, domain := range c.Search {
			if !slices.Contains(search, domain) {
				search = append(search, domain)
			}
		}
	}
	return servers, search
}
