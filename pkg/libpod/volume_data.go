package libpod

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rootless-pod/pod/internal/decompress"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/filecopy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// ExportVolume writes the content of a volume as an archive, which a child reads whose
// root it is: a container that swaps a directory for a link meanwhile leads it nowhere.
func (e *Engine) ExportVolume(ctx context.Context, name string, w io.Writer) error {
	return e.withVolume(ctx, name, func(v *state.Volume) error {
		err := step.Do(ctx, "volume.export", func() error { return e.Files.Archive(v.Mountpoint, &filecopy.Place{Running: true}, w) })
		if err != nil {
			return fmt.Errorf("export volume %s: %w", v.Name, err)
		}
		e.write(ctx, events.Event{Type: events.Volume, Status: events.Export, Name: v.Name})
		return nil
	})
}

// ImportVolume unpacks an archive, which may be compressed, into a volume, in a child
// whose root it is. What is there stays unless the archive has it.
func (e *Engine) ImportVolume(ctx context.Context, name string, r io.Reader) error {
	plain, _, err := decompress.Stream("archive", r)
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer plain.Close()
	return e.withVolume(ctx, name, func(v *state.Volume) error {
		err := step.Do(ctx, "volume.import", func() error { return e.Files.Unpack(v.Mountpoint, plain) })
		if err != nil {
			return err
		}
		e.write(ctx, events.Event{Type: events.Volume, Status: events.Import, Name: v.Name})
		return nil
	})
}

// withVolume has a volume in its place while work runs. The lock of one that is mounted
// for it is held meanwhile; for a plain directory, as nearly all are, it is not: work may
// take long, and containers are to start.
func (e *Engine) withVolume(ctx context.Context, name string, work func(*state.Volume) error) (err error) {
	v, err := e.Volume(ctx, name)
	if err != nil {
		return err
	}
	lock, err := e.lockVolume(ctx, v.Name)
	if err != nil {
		return err
	}
	if v, err = e.volumeNamed(ctx, v.Name); err == nil {
		err = e.mountVolume(ctx, v)
	}
	if err != nil {
		e.unlock(lock)
		return err
	}
	if _, needed, _ := needsMount(v); !needed {
		e.unlock(lock)
		return work(v)
	}
	defer e.unlock(lock)
	return errors.Join(work(v), e.releaseLocked(context.WithoutCancel(ctx), v, ""))
}
