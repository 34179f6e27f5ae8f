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
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/storage/pkg/chrootarchive"

	"github.com/rootless-pod/pod/pkg/image"
)

// room makes the directory for a context that is brought.
func (s *source) room() (err error) {
	if s.temporary, err = os.MkdirTemp("", "pod-build-"); err != nil {
		return fmt.Errorf("directory for the context: %w", err)
	}
	s.dir = filepath.Join(s.temporary, "context")
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return fmt.Errorf("directory for the context: %w", err)
	}
	return nil
}

// clone brings a repository. buildah leaves what it has of one that it cannot bring;
// it is in a directory that is removed.
func (s *source) clone(name string) error {
	if err := s.room(); err != nil {
		return err
	}
	cloned, sub, err := define.TempDirForURL(s.dir, "", name)
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
	return s.receive(address, answer.Body)
}

// receive makes the context of a stream.
func (s *source) receive(name string, in io.Reader) error {
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
	if _, err := io.Copy(f, in); err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	return s.fill(name, f)
}

// fill makes the context of a file: an archive, unpacked in a chroot, or else a
// Containerfile.
func (s *source) fill(name string, f *os.File) error {
	stream, compressed, err := compression.AutoDecompress(f)
	if err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	defer stream.Close() //nolint:errcheck // read only
	watched := &watched{Reader: image.Bounded(name, f, stream)}
	plain := bufio.NewReader(watched)
	head, err := plain.Peek(512)
	_, headErr := tar.NewReader(bytes.NewReader(head)).Next()
	switch {
	case err == nil && !errors.Is(headErr, tar.ErrHeader):
		if err = chrootarchive.Untar(plain, s.dir, nil); err != nil {
			err = errors.New(err.Error()) // not the exit code of the child that unpacks
		}
	case compressed:
		return fmt.Errorf("context %s: no archive", name)
	default:
		err = s.instructions(plain)
	}
	if watched.err != nil {
		return fmt.Errorf("context: %w", watched.err)
	}
	if err != nil {
		return fmt.Errorf("context %s: %w", name, err)
	}
	return nil
}

// watched keeps the error of a reader, which who reads makes another of.
type watched struct {
	io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
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
