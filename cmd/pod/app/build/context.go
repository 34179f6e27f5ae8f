package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/storage/pkg/archive"

	"github.com/rootless-pod/pod/internal/heldir"
	"github.com/rootless-pod/pod/pkg/build/reason"
	"github.com/rootless-pod/pod/pkg/image"
)

// source is where a build reads: the directory of its context and the
// Containerfiles.
type source struct {
	dir   string
	files []string
	// brought is removed after the build, with its path, temporary; nil and empty when
	// nothing was brought.
	brought   *heldir.Dir
	temporary string
	// stdin is the file that keeps what -f - has read.
	stdin string
	// named is what the user calls the context.
	named string
}

// stdinFile is what -f - reads.
const stdinFile = "/dev/stdin"

func (s *source) close() error {
	var err error
	if s.brought != nil {
		err = s.brought.Close()
	}
	if s.stdin != "" {
		err = errors.Join(err, os.Remove(s.stdin))
	}
	return err
}

// locate finds the context that args names and the Containerfiles of -f, and
// brings what is not a directory of this host. On error nothing is left.
func locate(ctx context.Context, args, files []string, in io.Reader) (_ *source, err error) {
	s := &source{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for _, file := range files {
		switch {
		case file != "-":
			s.files = append(s.files, file)
		case len(args) == 0:
			args = []string{"-"}
		default:
			s.files = append(s.files, stdinFile)
		}
	}
	if err := s.bring(ctx, args, in); err != nil {
		return nil, err
	}
	if s.named = s.dir; s.temporary != "" {
		s.named = args[0]
	}
	if err := s.spool(ctx, in); err != nil {
		return nil, err
	}
	if info, err := os.Stat(s.dir); err != nil {
		return nil, fmt.Errorf("context %s: %w", s.dir, errors.Unwrap(err))
	} else if !info.IsDir() {
		return nil, fmt.Errorf("context must be a directory: %q", s.dir)
	}
	none := len(s.files) == 0
	if none {
		found, err := discover(s.dir)
		if err != nil {
			return nil, err
		}
		s.files = []string{found}
	}
	return s, s.check(none)
}

// spool keeps the Containerfile that comes from standard input: it is read more
// than once.
func (s *source) spool(ctx context.Context, in io.Reader) error {
	at := slices.Index(s.files, stdinFile)
	if at < 0 {
		return nil
	}
	f, err := os.CreateTemp("", "pod-containerfile-")
	if err != nil {
		return fmt.Errorf("read the Containerfile of standard input: %w", err)
	}
	s.stdin, s.files[at] = f.Name(), f.Name()
	err = abandon(ctx, func() error {
		_, err := io.Copy(f, in)
		return err //nolint:wrapcheck // below
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read the Containerfile of standard input: %w", err)
	}
	return nil
}

// key tells this build from others, for what pod remembers of builds.
func (s *source) key() *reason.Key {
	k := &reason.Key{Context: s.named}
	for _, file := range s.files {
		if rel, err := filepath.Rel(s.dir, file); err == nil && filepath.IsAbs(file) && filepath.IsLocal(rel) {
			file = rel // of a context that was brought, too
		} else if file == s.stdin {
			file = "-"
		} else if !image.OnWeb(file) {
			if abs, err := filepath.Abs(file); err == nil {
				file = abs
			}
		}
		k.Files = append(k.Files, file)
	}
	return k
}

// bring sets the directory of the context: the one named, that of the first
// local Containerfile, or a temporary one for an archive, a repository or stdin.
func (s *source) bring(ctx context.Context, args []string, in io.Reader) error {
	if len(args) == 0 {
		for i, file := range s.files {
			if image.OnWeb(file) {
				continue
			}
			abs, err := filepath.Abs(file)
			if err != nil {
				return fmt.Errorf("the Containerfile %s: %w", file, err)
			}
			s.files[i], s.dir = abs, filepath.Dir(abs)
			return nil
		}
		return errors.New("no context directory and no Containerfile specified: name a directory, as in `pod build .`, or a file with -f")
	}
	switch address, err := url.Parse(args[0]); {
	case args[0] == "-":
		return s.receive(ctx, "standard input", in)
	case err == nil && image.OnWeb(args[0]) && !strings.HasSuffix(address.Path, ".git"):
		return s.download(ctx, args[0])
	}
	if repository(args[0]) {
		return s.clone(ctx, args[0])
	}
	var err error
	if s.dir, err = filepath.Abs(args[0]); err != nil {
		return fmt.Errorf("context %s: %w", args[0], err)
	}
	if info, err := os.Stat(s.dir); err == nil && info.Mode().IsRegular() && archive.IsArchivePath(s.dir) {
		return s.unpack(ctx, s.dir)
	}
	return nil
}

// unpack makes the context of a local archive.
func (s *source) unpack(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("context %s: %w", path, err)
	}
	defer f.Close() //nolint:errcheck // read only
	if err := s.room(); err != nil {
		return err
	}
	return s.fill(ctx, path, f)
}

// discover looks for the Containerfile of a context.
func discover(dir string) (string, error) {
	for _, name := range []string{"Containerfile", "Dockerfile"} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("the Containerfile: %w", err)
		case info.IsDir():
			return "", fmt.Errorf("containerfile: %q cannot be path to a directory", path)
		}
		return path, nil
	}
	return "", fmt.Errorf("no Containerfile or Dockerfile specified or found in context directory, %s: name one with -f: %w", dir, fs.ErrNotExist)
}

// repository says whether a context is buildah's to bring.
func repository(name string) bool {
	return image.OnWeb(name) || strings.HasPrefix(name, "git://") || strings.HasPrefix(name, "github.com/")
}
