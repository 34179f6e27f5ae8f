package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

const backedUp = 10_000

// volumes is about saving one: pod's backup, with its manifest of digests, beside
// podman's export into zstd, which this process does with the same library.
func (b *bench) volumes() []spec {
	archive := filepath.Join(b.dir, "volume.tar")
	setup := func(ctx context.Context, t *tool) error {
		if err := manySmall(archive); err != nil {
			return err
		}
		if _, err := t.run(ctx, "volume", "create", "bench"); err != nil {
			return err
		}
		_, err := t.run(ctx, "volume", "import", "bench", archive)
		return err
	}
	return []spec{{
		name: "back up a volume, 10 000 files", limit: 1, rounds: 5, setup: setup, teardown: once("volume", "rm", "bench"),
		do: func(ctx context.Context, t *tool, _ string) (float64, error) {
			file := filepath.Join(b.dir, t.name+".tar.zst")
			elapsed := stopwatch()
			if t.name == "pod" {
				_, err := t.run(ctx, "volume", "backup", "bench", file)
				return elapsed(), err
			}
			err := exportPressed(ctx, t, file)
			return elapsed(), err
		},
	}}
}

// manySmall writes an archive of small files of different content.
func manySmall(path string) (err error) {
	f, err := os.Create(path) //nolint:forbidigo // a file of the bench's own
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	for i := range backedUp {
		if i%perDir == 0 {
			if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("%03d/", i/perDir), Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
				return err
			}
		}
		text := ""
		for line := range 100 {
			text += fmt.Sprintf("line %d of file %d\n", line, i)
		}
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("%03d/%05d", i/perDir, i), Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return w.Close()
}

func exportPressed(ctx context.Context, t *tool, path string) (err error) {
	f, err := os.Create(path) //nolint:forbidigo // as above
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	pressed, err := zstd.NewWriter(f)
	if err != nil {
		return err
	}
	cmd := t.command(ctx, "volume", "export", "bench")
	cmd.Stdout = pressed
	return errors.Join(cmd.Run(), pressed.Close())
}
