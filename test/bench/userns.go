package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/rootless-pod/pod/internal/testregistry"
)

const (
	manyFiles = 50_000
	perDir    = 100
)

// userns is about the first container of a user namespace of its own: files of the
// image get its ids. Each call takes a map that there was not before.
func (b *bench) userns() []spec {
	next := 2000
	run := func() []string {
		next++
		id := strconv.Itoa(next)
		return []string{"run", "--rm", "--network", "none", "--userns", "keep-id:uid=" + id + ",gid=" + id, b.many, "true"}
	}
	setup := func(ctx context.Context, t *tool) error {
		if err := b.pushMany(ctx); err != nil {
			return err
		}
		_, err := t.run(ctx, "pull", "-q", "--tls-verify=false", b.many)
		return err
	}
	return []spec{
		{
			name: "first run with keep-id, 50 000 files", limit: 0.50, slow: true, rounds: 3, setup: setup,
			args: func(string) []string { return run() },
		},
		{
			name: "images during such a run", limit: 0.50, slow: true, rounds: 3, setup: setup,
			do: func(ctx context.Context, t *tool, _ string) (float64, error) { return b.meanwhile(ctx, t, run()) },
		},
	}
}

// meanwhile is the longest of the calls of images that begin while another call
// goes on, in ms.
func (b *bench) meanwhile(ctx context.Context, t *tool, args []string) (float64, error) {
	ended := make(chan error, 1)
	go func() {
		_, err := t.run(ctx, args...)
		ended <- err
	}()
	longest := 0.0
	for {
		select {
		case err := <-ended:
			return longest, err
		case <-time.After(100 * time.Millisecond):
			ms, err := b.timed(ctx, t, "images")
			if err != nil {
				return 0, err
			}
			longest = max(longest, ms)
		}
	}
}

// pushMany puts busybox with very many small files into the registry, once.
func (b *bench) pushMany(ctx context.Context) error {
	if b.many != "" {
		return nil
	}
	img, err := busybox()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	text := bytes.Repeat([]byte("0123456789abcdef"), 64)
	for i := range manyFiles {
		if i%perDir == 0 {
			if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("many/%03d/", i/perDir), Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
				return err
			}
		}
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("many/%03d/%05d", i/perDir, i), Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if img, err = appendLayer(img, out.Bytes()); err != nil {
		return err
	}
	if err := testregistry.Push(ctx, testregistry.Client(b.registry.Config.Handler), "registry/many", img); err != nil {
		return err
	}
	b.many = b.registry.Listener.Addr().String() + "/many:latest"
	return nil
}
