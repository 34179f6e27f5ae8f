package network

import (
	"context"

	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/shared"
)

// sharing is a container on its way to the user's pasta.
type sharing struct {
	cancel context.CancelFunc
	done   chan struct{}
	link   link.Link
	err    error
}

// share begins to connect a container to the user's pasta.
func share(ctx context.Context, req Request, result Result) *sharing {
	ctx, cancel := context.WithCancel(ctx)
	s := &sharing{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.link, s.err = shared.Connect(ctx, *req.Shared, req.ID, result.NetNS)
	}()
	return s
}

// Wait returns what the container was given; it has no process of its own.
func (s *sharing) Wait(ctx context.Context) (link.Link, error) {
	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	<-s.done
	s.cancel()
	return s.link, s.err
}

// Kill gives up; who asked leaves the user's namespace then.
func (s *sharing) Kill(context.Context) error {
	s.cancel()
	<-s.done
	return nil
}
