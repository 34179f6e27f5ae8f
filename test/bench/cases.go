package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// spec is one case: what is timed, and what must be there before and go after.
type spec struct {
	name string
	// limit is the ratio `make bench` insists on; 0: none.
	limit  float64
	slow   bool // left out by -quick
	peers  bool // buildah takes part
	own    bool // each tool is compared with itself: what is measured is the ratio
	rounds int  // fewer than asked for; 0: as asked for
	unit   string
	// setup prepares a tool once; before and after are done around every timed
	// call, untimed.
	setup, teardown func(ctx context.Context, t *tool) error
	before, after   func(ctx context.Context, t *tool, id string) error
	// args is the timed call; or do, which times or measures by itself.
	args func(id string) []string
	do   func(ctx context.Context, t *tool, id string) (float64, error)
}

// onTerm ends at once on SIGTERM, which the first process of a pid namespace
// does only with a handler.
func onTerm(image string) []string {
	return []string{image, "sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"}
}

// once runs a command of a tool.
func once(args ...string) func(context.Context, *tool) error {
	return func(ctx context.Context, t *tool) error {
		_, err := t.run(ctx, args...)
		return err
	}
}

func call(args ...string) func(context.Context, *tool, string) error {
	return func(ctx context.Context, t *tool, id string) error {
		all := append([]string(nil), args...)
		for i := range all {
			if all[i] == "ID" {
				all[i] = id
			}
		}
		_, err := t.run(ctx, all...)
		return err
	}
}

func (b *bench) cases() []spec {
	all := append(b.runs(), b.lifeCycle()...)
	all = append(all, b.queries()...)
	all = append(append(all, b.traffic()...), b.crowded())
	all = append(all, b.builds()...)
	all = append(all, b.pulls()...)
	all = append(all, b.userns()...)
	all = append(all, b.volumes()...)
	return append(all, b.lists()...)
}

// runs are whole lives of a container.
func (b *bench) runs() []spec {
	image := b.image
	run := func(args ...string) func(string) []string {
		return func(string) []string { return append(append([]string{"run", "--rm"}, args...), image, "true") }
	}
	return []spec{
		{name: "run --rm, network none", limit: 0.30, args: run("--network", "none")},
		{name: "run --rm, default network", limit: 0.30, args: run()},
		{name: "run --rm, network host", args: run("--network", "host")},
		// Nobody else is on it: all of it is made and taken down each time.
		{
			name: "run --rm, a bridge network", limit: 0.50, args: run("--network", "bench"),
			setup: once("network", "create", "bench"), teardown: once("network", "rm", "-f", "bench"),
		},
		{
			name: "run --rm, a bridge network in use", limit: 0.40, args: run("--network", "bench"),
			setup: func(ctx context.Context, t *tool) error {
				if err := once("network", "create", "bench")(ctx, t); err != nil {
					return err
				}
				return once("run", "-d", "--name", "bench", "--network", "bench", image, "sleep", "100000")(ctx, t)
			},
			teardown: once("network", "rm", "-f", "-t", "0", "bench"),
		},
		{name: "16 parallel run --rm", limit: 0.30, rounds: 5, do: b.parallel(16, run()("")...)},
		{name: "run --rm, CPU", limit: 0.30, unit: "CPU ms", rounds: 10, do: b.cpu(run()("")...)},
		{
			name: "run -d", limit: 0.35,
			args:  func(id string) []string { return []string{"run", "-d", "--name", id, image, "sleep", "100000"} },
			after: call("rm", "-f", "-t", "0", "ID"),
		},
		{
			name: "memory beside an idle container", unit: "PSS MB", rounds: 3, do: b.memory(1),
			after: call("rm", "-f", "-t", "0", "ID"),
		},
		{
			name: "memory beside each of 10 idle containers", limit: 0.5, unit: "PSS MB", rounds: 2, do: b.memory(10),
			after: func(ctx context.Context, t *tool, id string) error {
				args := []string{"rm", "-f", "-t", "0"}
				for i := range 10 {
					args = append(args, nth(id, i))
				}
				_, err := t.run(ctx, args...)
				return err
			},
		},
	}
}

// lifeCycle are single steps of it.
func (b *bench) lifeCycle() []spec {
	loop := onTerm(b.image)
	create := func(verb ...string) func(context.Context, *tool, string) error {
		return call(append(append(verb, "--name", "ID"), loop...)...)
	}
	remove := call("rm", "-f", "-t", "0", "ID")
	verb := func(args ...string) func(string) []string {
		return func(id string) []string { return append(append([]string(nil), args...), id) }
	}
	return []spec{
		{
			name: "create", limit: 0.35, after: remove,
			args: func(id string) []string { return append([]string{"create", "--name", id}, loop...) },
		},
		{name: "start", limit: 0.35, before: create("create"), after: remove, args: verb("start")},
		{name: "stop", limit: 0.35, before: create("run", "-d"), after: remove, args: verb("stop")},
		{
			name: "pod create and 2 runs", limit: 0.5, rounds: 5, do: b.podOfTwo,
			after: func(ctx context.Context, t *tool, id string) error {
				_, err := t.run(ctx, "pod", "rm", "-f", "-t", "0", id)
				return err
			},
		},
		{name: "rm -f", limit: 0.35, before: create("run", "-d"), args: verb("rm", "-f", "-t", "0")},
		{
			name: "exec", limit: 0.30, setup: func(ctx context.Context, t *tool) error { return create("run", "-d")(ctx, t, "target") },
			args:     func(string) []string { return []string{"exec", "target", "true"} },
			teardown: func(ctx context.Context, t *tool) error { return remove(ctx, t, "target") },
		},
		{
			name: "inspect", limit: 0.35, setup: func(ctx context.Context, t *tool) error { return create("create")(ctx, t, "target") },
			args:     func(string) []string { return []string{"inspect", "target"} },
			teardown: func(ctx context.Context, t *tool) error { return remove(ctx, t, "target") },
		},
	}
}

// podOfTwo makes a pod and runs two containers in it.
func (b *bench) podOfTwo(ctx context.Context, t *tool, id string) (float64, error) {
	begin := time.Now()
	if _, err := t.run(ctx, "pod", "create", "--name", id); err != nil {
		return 0, err
	}
	for range 2 {
		if _, err := t.run(ctx, append([]string{"run", "-d", "--pod", id}, onTerm(b.image)...)...); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(begin).Microseconds()) / 1000, nil
}

// queries are about images and the program itself.
func (b *bench) queries() []spec {
	fixed := func(args ...string) func(string) []string { return func(string) []string { return args } }
	return []spec{
		{name: "images", limit: 0.35, args: fixed("images")},
		{name: "version", limit: 0.35, args: fixed("version")},
		{
			name: "pull", rounds: 10, args: fixed("pull", "-q", "--tls-verify=false", b.bulk),
			after: call("rmi", "-f", b.bulk),
		},
	}
}

// lists grow the store, so they come last. What is left of these goes with the store.
func (b *bench) lists() []spec {
	ps := func(string) []string { return []string{"ps", "-a"} }
	return []spec{
		{name: "ps, 0 containers", limit: 0.30, args: ps},
		{name: "ps, 100 containers", limit: 0.25, args: ps, setup: b.fill(100)},
		{name: "ps, 1000 containers", limit: 0.20, slow: true, args: ps, setup: b.fill(1000)},
		b.growth(),
	}
}

// fill creates containers up to a number, two at a time since nobody measures it; it
// expects those of a smaller number.
func (b *bench) fill(n int) func(context.Context, *tool) error {
	return func(ctx context.Context, t *tool) error {
		const workers = 2
		errs := make([]error, workers)
		var wait sync.WaitGroup
		for w := range workers {
			wait.Go(func() {
				for i := b.filled[t.name] + w; i < n && errs[w] == nil; i += workers {
					_, errs[w] = t.run(ctx, "create", "--name", "filler"+strconv.Itoa(i), b.image, "true")
				}
			})
		}
		wait.Wait()
		b.filled[t.name] = max(n, b.filled[t.name])
		return errors.Join(errs...)
	}
}

// parallel times n calls at once, to the end of the last.
func (b *bench) parallel(n int, args ...string) func(context.Context, *tool, string) (float64, error) {
	return func(ctx context.Context, t *tool, _ string) (float64, error) {
		errs := make([]error, n)
		elapsed := stopwatch()
		var wait sync.WaitGroup
		for i := range n {
			wait.Go(func() { _, errs[i] = t.run(ctx, args...) })
		}
		wait.Wait()
		ms := elapsed()
		for _, err := range errs {
			if err != nil {
				return 0, fmt.Errorf("one of %d at once: %w", n, err)
			}
		}
		return ms, nil
	}
}
