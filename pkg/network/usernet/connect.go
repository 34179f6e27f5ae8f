package usernet

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/pasta"
	"github.com/rootless-pod/pod/pkg/network/slirp4netns"
)

// The programs that connect the namespace, as Namespace.Driver says them.
const (
	Pasta = "pasta"
	Slirp = "slirp4netns"
)

// connect starts the helper and waits until it is ready.
func (n *Namespace) connect(ctx context.Context, cfg Config) error {
	first, second := n.byPasta, n.bySlirp
	if cfg.Default == Slirp || cfg.Pasta == "" && cfg.Slirp4netns != "" {
		first, second = n.bySlirp, nil
	}
	err := first(ctx, cfg)
	if !errors.Is(err, link.ErrNoRoute) {
		return err
	}
	// pasta wants a routed interface of the host, slirp4netns does not.
	const why = "this host has no network interface with a route, which pasta needs"
	if second != nil && cfg.Slirp4netns != "" {
		n.Warnings = append(n.Warnings, why+": using slirp4netns")
		return second(ctx, cfg)
	}
	n.Warnings = append(n.Warnings, why+": bridge networks have no way out (install slirp4netns for one)")
	return nil
}

func (n *Namespace) byPasta(ctx context.Context, cfg Config) error {
	p, err := pasta.Start(ctx, pasta.Options{
		Path: cfg.Pasta, NetNS: cfg.NetNS, Extra: cfg.PastaOptions, CacheDir: cfg.CacheDir,
		PIDFile: filepath.Join(cfg.Dir, "pasta.pid"),
	})
	if err != nil {
		return err
	}
	l, err := p.Wait(ctx)
	return n.joined(ctx, Pasta, l, err)
}

func (n *Namespace) bySlirp(ctx context.Context, cfg Config) error {
	s, err := slirp4netns.Start(ctx, slirp4netns.Options{
		Path: cfg.Slirp4netns, NetNS: cfg.NetNS, Extra: cfg.SlirpOptions, Socket: filepath.Join(cfg.Dir, "slirp"),
	})
	if err != nil {
		return err
	}
	l, err := s.Wait(ctx)
	return n.joined(ctx, Slirp, l, err)
}

// joined takes a helper that is ready; one that is not is ended.
func (n *Namespace) joined(ctx context.Context, driver string, l link.Link, err error) error {
	if err != nil {
		return errors.Join(err, link.Stop(context.WithoutCancel(ctx), l.Process))
	}
	n.Driver, n.Link = driver, l
	n.Warnings = append(n.Warnings, l.Warnings...)
	n.Link.Warnings = nil
	return nil
}
