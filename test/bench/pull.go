package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-pod/pod/internal/testregistry"
)

const (
	pullLayers = 8
	pullBytes  = 300 << 20
)

// pulls bring 300 MiB in 8 layers, half of it random and half text, from this
// process.
func (b *bench) pulls() []spec {
	one := spec{
		peers: true, slow: true, rounds: 4,
		setup: func(ctx context.Context, _ *tool) error { return b.pushLayers(ctx) },
		after: func(ctx context.Context, t *tool, _ string) error { return call("rmi", "-f", b.layers)(ctx, t, "") },
	}
	pull := func() []string { return []string{"pull", "-q", "--tls-verify=false", b.layers} }
	elapsed, used, memory := one, one, one
	elapsed.name, elapsed.limit = "pull of 300 MiB", 1.05
	elapsed.do = func(ctx context.Context, t *tool, _ string) (float64, error) { return b.timed(ctx, t, pull()...) }
	used.name, used.unit, used.limit = "pull of 300 MiB, CPU", "CPU ms", 0.80
	used.do = func(ctx context.Context, t *tool, _ string) (float64, error) {
		u, err := t.usage(ctx, pull()...)
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6, err
	}
	memory.name, memory.unit, memory.limit = "pull of 300 MiB, peak memory", "MB", 1.05
	memory.do = func(ctx context.Context, t *tool, _ string) (float64, error) {
		return t.peak(ctx, pull()...)
	}
	return []spec{elapsed, used, memory}
}

// usage runs the program and says what it and those it waited for have used.
func (t *tool) usage(ctx context.Context, args ...string) (*syscall.Rusage, error) {
	var errs bytes.Buffer
	cmd := t.command(ctx, args...)
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return &syscall.Rusage{}, fmt.Errorf("%s %s: %w: %s", t.name, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return &syscall.Rusage{}, errors.New("no resource usage here")
	}
	return u, nil
}

// peak runs the program and returns the most memory that it or one of its children
// had in use, in MB. The kernel's ru_maxrss would do, but it begins with the memory
// of the process that forked, which is the registry here.
func (t *tool) peak(ctx context.Context, args ...string) (float64, error) {
	cmd := t.command(ctx, args...)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	most := 0.0
	for {
		select {
		case err := <-ended:
			return most, err
		case <-time.After(5 * time.Millisecond):
			most = max(most, highWater(strconv.Itoa(cmd.Process.Pid)))
		}
	}
}

// highWater is the largest VmHWM, in MB, of a process and those below it.
func highWater(pid string) float64 {
	most := 0.0
	status, _ := os.ReadFile(filepath.Join("/proc", pid, "status")) // it may have ended
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 64)
			most = kb / 1024
		}
	}
	lists, _ := filepath.Glob(filepath.Join("/proc", pid, "task/*/children"))
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for child := range strings.FieldsSeq(string(children)) {
			most = max(most, highWater(child))
		}
	}
	return most
}

// pushLayers puts the image of pulls into the registry, once.
func (b *bench) pushLayers(ctx context.Context) error {
	if b.layers != "" {
		return nil
	}
	img, err := busybox()
	if err != nil {
		return err
	}
	for i := range pullLayers {
		if img, err = addHalves(img, i); err != nil {
			return err
		}
	}
	client := testregistry.Client(b.registry.Config.Handler)
	if err := testregistry.Push(ctx, client, "registry/layers", img); err != nil {
		return err
	}
	b.layers = b.registry.Listener.Addr().String() + "/layers:latest"
	return nil
}

// addHalves adds a layer of random bytes and text in files of 256 KiB.
func addHalves(img v1.Image, n int) (v1.Image, error) {
	const size = 256 << 10
	source := rand.NewChaCha8([32]byte{2, byte(n)})
	var text bytes.Buffer
	for i := 0; text.Len() < size; i++ {
		fmt.Fprintf(&text, "line %d of layer %d: %x\n", i, n, source.Uint64()&0xffff)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	random := make([]byte, size)
	for i := range pullBytes / pullLayers / size {
		data := text.Bytes()[:size]
		if i%2 == 0 {
			_, _ = source.Read(random) // never fails
			data = random
		}
		name := "layer" + strconv.Itoa(n) + "/" + strconv.Itoa(i)
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return appendLayer(img, out.Bytes())
}
