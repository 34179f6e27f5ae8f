package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/rootless-pod/pod/pkg/image"
)

// mostText is more than any file of instructions or patterns has.
const mostText = 16 << 20

// check finds the Containerfiles and makes their names absolute. A relative name is
// looked for here and then in the context. What a context brings is as its author
// pleases: it may be a pipe, without end, or a link to what others shall not see.
func (s *source) check(found bool) error {
	for i, file := range s.files {
		if image.OnWeb(file) || file == s.stdin {
			continue
		}
		info, err := os.Stat(file)
		inContext := errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(file)
		if inContext {
			file = filepath.Join(s.dir, file)
			info, err = os.Stat(file)
		}
		if err != nil {
			return fmt.Errorf("the specified Containerfile or Dockerfile does not exist, %s: %w", s.files[i], errors.Unwrap(err))
		}
		if s.files[i], err = filepath.Abs(file); err != nil {
			return fmt.Errorf("the Containerfile %s: %w", file, err)
		}
		brought := s.temporary != "" && (inContext || found)
		if brought || found {
			if err := text("Containerfile", s.shown(file), info); err != nil {
				return err
			}
		}
		if !brought {
			continue
		}
		if err := s.inside("Containerfile", s.files[i], s.temporary); err != nil {
			return err
		}
		if strings.HasSuffix(file, ".in") {
			return fmt.Errorf("the Containerfile %s: cpp would be run on it, which reads any file of this host that it names: run cpp yourself if you trust it", filepath.Base(file))
		}
	}
	return s.ignores()
}

// ignores refuses ignore files that cannot be read as such. Errors about a pattern
// show it, and so must not be of another file.
func (s *source) ignores() error {
	for _, suffix := range []string{".containerignore", ".dockerignore"} {
		path, err := securejoin.SecureJoin(s.dir, suffix)
		if err != nil {
			return fmt.Errorf("ignore file %s: %w", suffix, err)
		}
		if info, err := os.Stat(path); err == nil {
			if err := text("ignore file", s.shown(path), info); err != nil {
				return err
			}
		}
		for _, file := range s.files {
			path := file + suffix
			info, err := os.Stat(path)
			if err != nil || image.OnWeb(file) {
				continue
			}
			if err := text("ignore file", s.shown(path), info); err != nil {
				return err
			}
			if err := s.inside("ignore file", path, s.dir, filepath.Dir(file)); err != nil {
				return err
			}
		}
	}
	return nil
}

// text refuses what is no file of some lines.
func text(what, path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("%s: %q cannot be path to a directory", strings.ToLower(what), path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s %s is not a regular file", what, path)
	case info.Size() > mostText:
		return fmt.Errorf("%s %s has %d bytes, more than %d", what, path, info.Size(), mostText)
	}
	return nil
}

// shown is a path as the context's author knows it.
func (s *source) shown(path string) string {
	if rel, err := filepath.Rel(s.dir, path); s.temporary != "" && err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// inside refuses a path that links take out of all dirs.
func (s *source) inside(what, path string, dirs ...string) error {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, dir := range dirs {
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if rel, err := filepath.Rel(dir, resolved); err == nil && filepath.IsLocal(rel) {
			return nil
		}
	}
	return fmt.Errorf("%s %s leads out of the context", what, s.shown(path))
}
