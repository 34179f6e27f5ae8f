package state

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// tmpfsDir is a run directory as it is in use: on tmpfs where there is one.
func tmpfsDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pod-state-") //nolint:usetesting // in memory
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// sample is a container with a description of usual size.
func sample(n int, volatile bool) *Container {
	return &Container{
		ID: fmt.Sprintf("%064x", n*2654435761), Name: fmt.Sprintf("sample_%d", n), Volatile: volatile,
		Created: time.Date(2026, 11, 21, 10, 0, 0, n, time.UTC),
		ImageID: fmt.Sprintf("%064x", 7), ImageName: "registry.example.org/team/image:latest",
		ImageDigest: "sha256:" + fmt.Sprintf("%064x", 8), Wanted: true,
		Spec: specgen.Container{
			Image: "registry.example.org/team/image:latest", Remove: volatile,
			Labels:        map[string]string{"org.opencontainers.image.title": "image", "maintainer": "nobody@example.org"},
			CreateCommand: []string{"pod", "run", "-d", "--name", "sample", "-v", "data:/var/lib/data", "image", "sleep", "inf"},
			Process: specgen.Process{
				Command: []string{"sleep", "inf"},
				Env:     []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "HOME=/root"},
			},
			Network: specgen.Network{Ports: []specgen.PortMapping{{HostPort: 8080, ContainerPort: 80, Range: 1, Protocol: "tcp"}}},
			Storage: specgen.Storage{Mounts: []specgen.Mount{
				{Type: "volume", Source: "data", Destination: "/var/lib/data", Options: []string{"rw", "nosuid"}},
				{Type: "bind", Source: "/srv/www", Destination: "/srv/www", Options: []string{"ro"}},
			}},
		},
	}
}

// sampleRun is a run in full swing.
func sampleRun() *Run {
	return &Run{
		Phase: PhaseRunning, Init: Process{PID: 4711, Start: 123456}, Conmon: Process{PID: 4710, Start: 123455},
		StartedAt: time.Date(2026, 11, 21, 10, 0, 1, 0, time.UTC),
		Network:   json.RawMessage(`{"driver":"pasta","netns":"/run/user/1000/netns/netns-1234","pid":4712}`),
	}
}

func benchStore(b *testing.B) (*Store, Options) {
	b.Helper()
	o := Options{GraphRoot: b.TempDir(), RunDir: tmpfsDir(b)}
	s, err := Open(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s, o
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// openOften opens the files, reads one record and closes them, again and again.
func openOften(ctx context.Context, b *testing.B, o Options) {
	b.Helper()
	for b.Loop() {
		s, err := Open(ctx, o)
		must(b, err)
		_, err = s.Lookup(ctx, "sample_1")
		must(b, err)
		must(b, s.Close())
	}
}

// BenchmarkOpen is what a command that reads one record pays.
func BenchmarkOpen(b *testing.B) {
	ctx := context.Background()
	s, o := benchStore(b)
	must(b, s.Add(ctx, sample(1, false)))
	must(b, s.Close())
	openOften(ctx, b, o)
}

// BenchmarkOpenBusy is the same while another process has the files open.
func BenchmarkOpenBusy(b *testing.B) {
	ctx := context.Background()
	s, o := benchStore(b)
	must(b, s.Add(ctx, sample(1, false)))
	openOften(ctx, b, o)
}

// BenchmarkVolatile is what `run --rm` pays once the Store is open.
func BenchmarkVolatile(b *testing.B) {
	ctx := b.Context()
	s, _ := benchStore(b)
	c, run := sample(1, true), sampleRun()
	for b.Loop() {
		must(b, s.Add(ctx, c))
		must(b, s.SetRun(ctx, c.ID, run))
		must(b, s.Remove(ctx, c.ID))
	}
}

// BenchmarkVolatileProcess is what `run --rm` pays with open and close.
func BenchmarkVolatileProcess(b *testing.B) {
	ctx := context.Background()
	s, o := benchStore(b)
	must(b, s.Close())
	c, run := sample(1, true), sampleRun()
	for b.Loop() {
		s, err := Open(ctx, o)
		must(b, err)
		must(b, s.Add(ctx, c))
		must(b, s.SetRun(ctx, c.ID, run))
		must(b, s.Remove(ctx, c.ID))
		must(b, s.Close())
	}
}

// BenchmarkDurableProcess is what a command pays that writes three times.
func BenchmarkDurableProcess(b *testing.B) {
	ctx := context.Background()
	s, o := benchStore(b)
	must(b, s.Close())
	c := sample(1, false)
	for b.Loop() {
		s, err := Open(ctx, o)
		must(b, err)
		must(b, s.Add(ctx, c))
		must(b, s.Update(ctx, c))
		must(b, s.Remove(ctx, c.ID))
		must(b, s.Close())
	}
}

func benchMany(b *testing.B) *Store {
	b.Helper()
	ctx := context.Background()
	s, _ := benchStore(b)
	for n := range 1000 {
		c := sample(n, n%2 == 0)
		c.Run = sampleRun()
		must(b, s.Add(ctx, c))
	}
	return s
}

// BenchmarkList is `ps` with 1000 containers.
func BenchmarkList(b *testing.B) {
	s := benchMany(b)
	for b.Loop() {
		all, err := s.List(context.Background())
		if err != nil || len(all) != 1000 {
			b.Fatal(len(all), err)
		}
	}
}

// BenchmarkPending is what reconciliation pays when there is nothing to do.
func BenchmarkPending(b *testing.B) {
	s := benchMany(b)
	for b.Loop() {
		all, err := s.Pending(context.Background())
		if err != nil || len(all) != 0 {
			b.Fatal(len(all), err)
		}
	}
}

// BenchmarkLookup finds one of 1000 by a prefix.
func BenchmarkLookup(b *testing.B) {
	s := benchMany(b)
	id := sample(500, false).ID
	for b.Loop() {
		_, err := s.Lookup(context.Background(), id[:60])
		must(b, err)
	}
}

// BenchmarkLock is a lock that nobody else wants.
func BenchmarkLock(b *testing.B) {
	s, _ := benchStore(b)
	for b.Loop() {
		l, err := s.Lock(context.Background(), "x")
		must(b, err)
		must(b, s.RemoveLock(l))
	}
}
