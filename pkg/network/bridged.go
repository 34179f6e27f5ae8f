package network

import (
	"context"
	"slices"

	"github.com/rootless-pod/pod/pkg/network/bridge"
	"github.com/rootless-pod/pod/pkg/network/link"
)

// bridged is a connect to networks under way. It goes on beside everything else
// of a start; a helper of its own it has none.
type bridged struct {
	cancel context.CancelFunc
	done   chan struct{}
	joined *bridge.Joined
	err    error
}

// connect begins to connect a container to its networks.
func connect(ctx context.Context, req Request, result Result) *bridged {
	ctx, cancel := context.WithCancel(ctx)
	b := &bridged{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.joined, b.err = req.Bridge.Connect(ctx, bridge.Container{
			ID: req.ID, Name: req.Name, Hostname: req.Hostname, NetNS: result.NetNS,
			Attachments: req.Spec.Networks, Ports: result.Ports, DNS: servers(req.Spec.DNS),
		})
	}()
	return b
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
		return link.Link{}, b.err
	}
	l := link.Link{DNS: b.joined.Forward, HostAddress: b.joined.HostAddress, Warnings: b.joined.Warnings}
	for _, c := range b.joined.Connections {
		l.Addresses = append(l.Addresses, c.Addresses...)
	}
	return l, nil
}

// record puts the networks into the result.
func (b *bridged) record(r *Result) { r.Connections = b.joined.Connections }

// Kill gives up. A connect that ended well all the same is undone by Leave.
func (b *bridged) Kill(context.Context) error {
	b.cancel()
	<-b.done
	return nil
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
