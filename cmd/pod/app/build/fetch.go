package build

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"go.podman.io/buildah/define"
	"go.podman.io/buildah/pkg/parse"
	"go.podman.io/storage/pkg/chrootarchive"

	"github.com/rootless-pod/pod/internal/decompress"
	"github.com/rootless-pod/pod/internal/heldir"
)

// broughtPrefix begins the directories of contexts that were brought.
const broughtPrefix = "pod-build-context-"

// room makes the directory for a context that is brought, and removes those that
// killed builds have left.
func (s *source) room() (err error) {
	heldir.Sweep(parse.GetTempDir(), broughtPrefix, nil)
	if s.brought, err = heldir.New(parse.GetTempDir(), broughtPrefix); err != nil {
		return fmt.Errorf("directory for the context: %w", err)
	}
	s.temporary = s.brought.Path()
	s.dir = filepath.Join(s.temporary, "context")
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return fmt.Errorf("directory for the context: %w", err)
	}
	return nil
}

// clone brings a repository. buildah leaves what it has of one that it cannot bring;
// it is in a directory that is removed.
func (s *source) clone(ctx context.Context, name string) error {
	if err := s.room(); err != nil {
		return err
	}
	var cloned, sub string
	err := abandon(ctx, func() (err error) {
		cloned, sub, err = define.TempDirForURL(s.dir, "", name)
		return err //nolint:wrapcheck // below
	})
	if err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	s.dir = filepath.Join(cloned, sub)
	return nil
}

// download makes the context of what is at an address: an archive or a Containerfile.
func (s *source) download(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("context %s: %w", address, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("context %s: %w", address, err)
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	if answer.StatusCode < http.StatusOK || answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("context %s: invalid response status %d", address, answer.StatusCode)
	}
	return s.receive(ctx, address, answer.Body)
}

// receive makes the context of a stream.
func (s *source) receive(ctx context.Context, name string, in io.Reader) error {
	if err := s.room(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.temporary, "received"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	defer f.Close() //nolint:errcheck // nobody reads it again
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	err = abandon(ctx, func() error {
		_, err := io.Copy(f, in)
		return err //nolint:wrapcheck // below
	})
	if err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	return s.fill(ctx, name, f)
}

// abandon does what may never end, such as to read a pipe to which nobody writes: it
// waits no longer than until ctx is done.
func abandon(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fill makes the context of a file: an archive, unpacked in a chroot, or else a
// Containerfile.
func (s *source) fill(ctx context.Context, name string, f *os.File) error {
	in, err := begin(ctx, name, f)
	if err != nil {
		return err
	}
	defer func() { in.close() }()
	head, err := in.plain.Peek(512)
	_, headErr := tar.NewReader(bytes.NewReader(head)).Next()
	switch {
	case err == nil && !errors.Is(headErr, tar.ErrHeader):
		found := survey(in.headers(f), maxMembers)
		if err := in.failed(); err != nil {
			return err
		}
		if err := found.fits(s.dir); err != nil {
			return fmt.Errorf("context %s: %w", name, err)
		}
		in.close()
		if in, err = begin(ctx, name, f); err != nil {
			return err
		}
		if err = chrootarchive.Untar(in.plain, s.dir, nil); err != nil {
			err = errors.New(err.Error()) // not the exit code of the child that unpacks
		}
	case in.compressed:
		return fmt.Errorf("context %s: no archive", name)
	default:
		err = s.instructions(in.plain)
	}
	if err := in.failed(); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	return nil
}

// stream is a file of a context that is read from its beginning, decompressed.
type stream struct {
	plain      *bufio.Reader
	compressed bool
	watched    *watched
	close      func()
}

// begin reads f from its beginning, as long as ctx is not done.
func begin(ctx context.Context, name string, f *os.File) (*stream, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("context %s: %w", name, err)
	}
	in, compressed, err := decompress.Stream(name, f)
	if err != nil {
		return nil, fmt.Errorf("context %s: %w", name, err)
	}
	w := &watched{Reader: in, ctx: ctx}
	return &stream{plain: bufio.NewReader(w), compressed: compressed, watched: w, close: func() { _ = in.Close() }}, nil
}

// headers is what the members of the archive are read from: where it is not
// compressed from the file, in which their content can be skipped.
func (in *stream) headers(f *os.File) io.Reader {
	if in.compressed {
		return in.plain
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return in.plain
	}
	return f
}

// failed is the error of what was read, which whoever read it made another of.
func (in *stream) failed() error {
	if in.watched.err != nil {
		return fmt.Errorf("context: %w", in.watched.err)
	}
	return nil
}

// watched keeps the error of a reader, which who reads makes another of, and ends
// with ctx.
type watched struct {
	io.Reader
	ctx context.Context //nolint:containedctx // a reader is given none
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		w.err = context.Cause(w.ctx)
		return 0, w.err
	}
	n, err := w.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err //nolint:wrapcheck // io.EOF
}

// instructions makes the context of a Containerfile.
func (s *source) instructions(in io.Reader) error {
	content, err := io.ReadAll(io.LimitReader(in, mostText+1))
	switch {
	case err != nil:
		return err //nolint:wrapcheck // the caller names it
	case len(content) > mostText:
		return fmt.Errorf("neither an archive nor a Containerfile: it has more than %d bytes", mostText)
	case len(bytes.TrimSpace(content)) == 0:
		return errors.New("no contents")
	}
	if err := os.WriteFile(filepath.Join(s.dir, "Dockerfile"), content, 0o600); err != nil {
		return fmt.Errorf("keep it: %w", err)
	}
	return nil
}
