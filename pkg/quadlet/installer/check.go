package installer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/quadlet"
)

// Checked is what the generator will say to files.
type Checked struct {
	// Services are those that the files make, but for templates.
	Services []string
	// Failed are the errors of the files; Warnings keep no service from being made.
	Failed, Warnings []error
}

// Check converts the files as the generator will, beside those that are there.
func Check(host quadlet.Host, files []File) Checked {
	dir, err := os.MkdirTemp("", "pod-quadlet-")
	if err != nil {
		return Checked{Failed: []error{fmt.Errorf("make a directory to check in: %w", err)}}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c := check{dir: dir, sources: map[string]File{}}
	if err := c.lay(files); err != nil {
		return Checked{Failed: []error{fmt.Errorf("write into a directory to check in: %w", err)}}
	}
	installed, problems := host.Dirs()
	// Files of the first directories hide others of their names.
	set, more := quadlet.LoadDirs(host, append(c.dirs, installed...))
	problems = append(problems, more...)
	good := map[string]bool{}
	var result Checked
	for _, r := range set.Convert() {
		good[r.Unit.Path] = r.Service != nil
		problems = append(problems, r.Problems...)
		if _, ours := c.sources[r.Unit.Path]; ours && !strings.HasSuffix(r.Unit.Service, "@.service") {
			result.Services = append(result.Services, r.Unit.Service)
		}
	}
	for _, p := range problems {
		f, ours := c.sources[p.Pos.File]
		if !ours {
			continue
		}
		err := fmt.Errorf("%s:%d: %s", f.Source, f.Line+p.Pos.Line, p.Msg)
		if p.Warning {
			result.Warnings = append(result.Warnings, err)
		} else {
			result.Failed = append(result.Failed, err)
		}
	}
	if len(result.Failed) == 0 {
		result.Failed = c.others(good, problems)
	}
	return result
}

// check is a tree of the files as they will be.
type check struct {
	dir     string
	dirs    []string
	sources map[string]File
}

func (c *check) lay(files []File) error {
	for _, f := range files {
		path := filepath.Join(c.dir, f.Name)
		c.sources[path] = f
		dir := filepath.Dir(path)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if !slices.Contains(c.dirs, dir) && !strings.HasSuffix(dir, ".d") {
			c.dirs = append(c.dirs, dir)
		}
		var err error
		if f.Link != "" {
			err = os.Symlink(f.Link, path)
		} else {
			err = os.WriteFile(path, f.Data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// others tells of units that fail for what is not in their files: a drop-in that is
// there already, a file of the same name that hides nothing.
func (c *check) others(good map[string]bool, problems []quadlet.Problem) []error {
	var failed []error
	for path, f := range c.sources {
		if !IsUnit(f.Name) || good[path] {
			continue
		}
		why := errors.New("it makes no service")
		for _, p := range problems {
			if !p.Warning && strings.Contains(p.Pos.File, filepath.Base(f.Name)+".d") {
				why = errors.New(p.String())
				break
			}
		}
		failed = append(failed, &Error{f.Source, why})
	}
	return failed
}
