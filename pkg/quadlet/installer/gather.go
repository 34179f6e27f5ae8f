package installer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Gatherer reads what is to be installed, whole, before anything is written.
type Gatherer struct {
	// Application is the directory below the unit directory that all goes to, if any.
	Application string
	Client      *http.Client

	size int
}

// Gather reads files, directories and addresses. What is wrong with one is told of
// each; then there are no files.
func (g *Gatherer) Gather(ctx context.Context, sources []string) ([]File, []error) {
	var files []File
	var failed []error
	for i, source := range sources {
		found, err := g.source(ctx, source, i == 0)
		if err != nil {
			failed = append(failed, &Error{source, err})
			continue
		}
		files = append(files, found...)
	}
	if len(failed) == 0 {
		if err := duplicates(files); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return nil, failed
	}
	for i := range files {
		files[i].Name = path.Join(g.Application, files[i].Name)
	}
	return files, nil
}

func (g *Gatherer) source(ctx context.Context, source string, first bool) ([]File, error) {
	if strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://") {
		return g.fetch(ctx, source)
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, withoutPath(err)
	}
	if info.IsDir() {
		switch {
		case !first:
			return nil, errors.New("it is a directory: only the first argument may be one")
		case g.Application == "":
			return nil, fmt.Errorf("application name cannot be empty when installing from directory: --application %s gives one", suggestion(source))
		}
		return g.directory(source)
	}
	f, err := os.Open(source)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	return g.file(f, filepath.Base(source), source)
}

// suggestion is a name for the application of a directory.
func suggestion(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		if base := filepath.Base(abs); CheckApplication(base) == nil {
			return base
		}
	}
	return "NAME"
}

// file reads an open file, and makes its parts of one with several.
func (g *Gatherer) file(f *os.File, name, source string) ([]File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 && !IsUnit(name) {
		mode = 0o755 // scripts stay programs
	}
	return g.read(f, File{Name: name, Source: source, Mode: mode})
}

// read reads the content of what becomes f.
func (g *Gatherer) read(r io.Reader, f File) ([]File, error) {
	base := path.Base(f.Name)
	if err := checkName(base); err != nil {
		return nil, err
	}
	multi := path.Ext(base) == Multi
	if !IsUnit(base) && !multi && g.Application == "" {
		return nil, fmt.Errorf("unsupported quadlet extension (%q): files beside units are installed with --application NAME", path.Ext(base))
	}
	limit := maxFile
	if IsUnit(base) || multi {
		limit = maxUnit
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("it is larger than %d MiB", limit>>20)
	}
	if g.size += len(data); g.size > maxAll {
		return nil, errTooMuch
	}
	f.Data = data
	if multi {
		return split(f)
	}
	return []File{f}, nil
}

// directory reads all files below a directory. Links stay links if they lead to a
// file beside them, which is how instances of templates are made; others are refused:
// a directory may be a stranger's.
func (g *Gatherer) directory(dir string) ([]File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = root.Close() }()
	var files []File
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		found, err := g.entry(root, dir, name, d)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if files = append(files, found...); len(files) > maxFiles {
			return errTooMuch
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if IsUnit(f.Name) {
			return files, nil
		}
	}
	return nil, errors.New("it holds no Quadlet file")
}

func (g *Gatherer) entry(root *os.Root, dir, name string, d fs.DirEntry) ([]File, error) {
	for component := range strings.SplitSeq(name, "/") {
		if err := checkName(component); err != nil {
			return nil, err
		}
	}
	source := filepath.Join(dir, name)
	if d.Type()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(name)
		if err != nil {
			return nil, withoutPath(err)
		}
		if err := checkName(target); err != nil {
			return nil, fmt.Errorf("it is a link to %s: only links to files beside them are installed", target)
		}
		if _, err := root.Stat(name); err != nil {
			return nil, withoutPath(err)
		}
		return []File{{Name: name, Source: source, Link: target}}, nil
	}
	if !d.Type().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	return g.file(f, name, source)
}

// fetch reads what a server has.
func (g *Gatherer) fetch(ctx context.Context, address string) ([]File, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := g.Client.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // it repeats the address
		}
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", answer.Status)
	}
	name := path.Base(request.URL.Path)
	if _, params, err := mime.ParseMediaType(answer.Header.Get("Content-Disposition")); err == nil && params["filename"] != "" {
		name = params["filename"]
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	return g.read(answer.Body, File{Name: name, Source: address, Mode: 0o644})
}

// withoutPath is an error of the file system whose path the caller tells.
func withoutPath(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
