package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// built names what a build makes; it is removed after each one, so that the
// stores do not grow.
const built = "localhost/bench-built"

// builds are Containerfiles that pod, podman and buildah build.
func (b *bench) builds() []spec {
	return []spec{
		{
			name: "build, 12 cached steps", limit: 0.25, peers: true,
			setup: func(ctx context.Context, t *tool) error {
				var lines []string
				for i := range 12 {
					lines = append(lines, fmt.Sprintf("RUN echo %d > /f%d", i, i))
				}
				return errors.Join(b.containerfile("cached", lines...), b.build(ctx, t, "cached", built))
			},
			do:       b.timedBuild("cached"),
			teardown: func(ctx context.Context, t *tool) error { return removeBuilt(ctx, t, "") },
		},
		b.step("build, a RUN step, network none", 0.50, "RUN --network=none"),
		b.step("build, a RUN step", 0.50, "RUN"),
		{
			name: "build, COPY of 20000 files", limit: 0.65, rounds: 4, peers: true, slow: true,
			setup:  func(context.Context, *tool) error { return b.manyFiles("copy", 20000) },
			before: func(_ context.Context, t *tool, id string) error { return b.write("copy", "files/new", t.name+id) },
			do:     b.timedBuild("copy"), after: removeBuilt,
		},
		b.stages("build, two stages of 3 s", 0.55),
		b.stages("build, two such stages, --jobs 2", 1.05, "--jobs", "2"),
		{
			name: "4 different builds at once", limit: 0.60, rounds: 6, peers: true,
			do: b.fourBuilds, after: removeBuilt,
		},
	}
}

// step is a build of one step that no cache holds.
func (b *bench) step(name string, limit float64, instruction string) spec {
	return spec{
		name: name, limit: limit, peers: true,
		before: func(_ context.Context, t *tool, id string) error {
			return b.containerfile("step", instruction+" echo "+t.name+id+" > /x")
		},
		do: b.timedBuild("step"), after: removeBuilt,
	}
}

// stages is a build of two stages that do not need each other.
func (b *bench) stages(name string, limit float64, args ...string) spec {
	return spec{
		name: name, limit: limit, rounds: 3, peers: true, slow: true,
		setup: func(context.Context, *tool) error {
			return b.containerfile("stages", "RUN sleep 3; echo 1 > /a", "FROM "+b.image, "RUN sleep 3; echo 2 > /b",
				"FROM "+b.image, "COPY --from=0 /a /", "COPY --from=1 /b /")
		},
		do: b.timedBuild("stages", append([]string{"--no-cache"}, args...)...), after: removeBuilt,
	}
}

// fourBuilds times four builds that have nothing in common but their base.
func (b *bench) fourBuilds(ctx context.Context, t *tool, id string) (float64, error) {
	const n = 4
	for i := range n {
		name, text := "four"+strconv.Itoa(i), fmt.Sprintf("%s %s %d", t.name, id, i)
		if err := b.containerfile(name, "COPY text /", "RUN echo 1 "+text+" > /a", "RUN echo 2 "+text+" > /b"); err != nil {
			return 0, err
		}
		if err := b.write(name, "text", text); err != nil {
			return 0, err
		}
	}
	errs := make([]error, n)
	elapsed := stopwatch()
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { errs[i] = b.build(ctx, t, "four"+strconv.Itoa(i), built+strconv.Itoa(i)) })
	}
	wait.Wait()
	return elapsed(), errors.Join(errs...)
}

// timedBuild times one build of a context.
func (b *bench) timedBuild(name string, args ...string) func(context.Context, *tool, string) (float64, error) {
	return func(ctx context.Context, t *tool, _ string) (float64, error) {
		elapsed := stopwatch()
		err := b.build(ctx, t, name, built, args...)
		return elapsed(), err
	}
}

// build builds a context. All three keep the layers: for pod and podman that is
// the default.
func (b *bench) build(ctx context.Context, t *tool, name, tag string, args ...string) error {
	all := append([]string{"build", "-q", "--layers", "-t", tag}, args...)
	_, err := t.run(ctx, append(all, filepath.Join(b.dir, "contexts", name))...)
	return err
}

// removeBuilt removes the images of the last builds, whatever they were.
func removeBuilt(ctx context.Context, t *tool, _ string) error {
	out, err := t.run(ctx, "images", "-q", "--filter", "reference="+built+"*")
	if err != nil || out == "" {
		return err
	}
	_, err = t.run(ctx, append([]string{"rmi", "-f"}, strings.Fields(out)...)...)
	return err
}

// containerfile writes the Containerfile of a context; FROM is put in front.
func (b *bench) containerfile(context string, lines ...string) error {
	return b.write(context, "Containerfile", strings.Join(append([]string{"FROM " + b.image}, lines...), "\n")+"\n")
}

// manyFiles makes a context with n files of 1 KiB.
func (b *bench) manyFiles(context string, n int) error {
	text := strings.Repeat("0123456789abcde\n", 64)
	for i := range n {
		if err := b.write(context, fmt.Sprintf("files/%d/%d", i/100, i), text); err != nil {
			return err
		}
	}
	return b.containerfile(context, "COPY files /files")
}

func (b *bench) write(context, name, text string) error {
	path := filepath.Join(b.dir, "contexts", context, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
