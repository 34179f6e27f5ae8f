package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
	"github.com/rootless-pod/pod/internal/step"
)

// Directory is the unit directory, locked. Nothing that is done through it leaves it,
// whatever links are in it.
type Directory struct {
	path string
	root *os.Root
	lock *os.File
}

// plan is what a change will do. It is written whole before the first file comes or
// goes, so whoever finds one finishes it.
type plan struct {
	// Place are names; the file of each waits in the staging directory under its index.
	Place []string `json:"place,omitempty"`
	// Remove are names of files and directories.
	Remove []string `json:"remove,omitempty"`
}

const planFile = staging + "/plan"

// Open makes the directory if it must, waits for its lock, and finishes what a killed
// change left.
func Open(ctx context.Context, dir string) (*Directory, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the mode of such directories
		return nil, fmt.Errorf("make the unit directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the unit directory: %w", err)
	}
	d := &Directory{path: dir, root: root}
	if d.lock, err = root.Open("."); err == nil {
		if err = flock.Lock(d.lock, unix.LOCK_EX); err == nil {
			err = d.recover(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the unit directory %s: %w", dir, err), d.Close())
	}
	return d, nil
}

// Close gives the lock back.
func (d *Directory) Close() error {
	if d.lock != nil {
		_ = d.lock.Close()
	}
	return d.root.Close()
}

// recover finishes a change that has its plan, and forgets one that has none.
func (d *Directory) recover(ctx context.Context) error {
	data, err := d.root.ReadFile(planFile)
	if errors.Is(err, fs.ErrNotExist) {
		return d.root.RemoveAll(staging)
	}
	if err != nil {
		return err
	}
	var p plan
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("read %s: %w", planFile, err)
	}
	return d.finish(ctx, p)
}

// Conflicts are the errors of files that are there already, or cannot be there.
func (d *Directory) Conflicts(files []File, replace bool) []error {
	var failed []error
	for _, f := range files {
		info, err := d.root.Lstat(f.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			failed = append(failed, &Error{f.Source, withoutPath(err)})
		case info.IsDir():
			failed = append(failed, &Error{f.Source, fmt.Errorf("%s is a directory", filepath.Join(d.path, f.Name))})
		case !replace:
			failed = append(failed, &Error{f.Source, exists(f.Name)})
		}
	}
	return failed
}

// Install puts all files in place, or none. It returns their paths.
func (d *Directory) Install(ctx context.Context, files []File) ([]string, error) {
	var p plan
	paths := make([]string, 0, len(files))
	for _, f := range files {
		p.Place = append(p.Place, f.Name)
		paths = append(paths, filepath.Join(d.path, f.Name))
	}
	err := step.Do(ctx, "quadlet.stage", func() error { return d.stage(files) })
	if err == nil {
		err = d.commit(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	return paths, nil
}

// Remove takes files, or directories with all that is in them, away.
func (d *Directory) Remove(ctx context.Context, names []string) error {
	if err := d.root.Mkdir(staging, 0o700); err != nil {
		return fmt.Errorf("remove from %s: %w", d.path, withoutPath(err))
	}
	return d.commit(ctx, plan{Remove: names})
}

// stage writes the files into the staging directory, with those that they replace
// beside them.
func (d *Directory) stage(files []File) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write into %s: %w", d.path, err), d.root.RemoveAll(staging))
		}
	}()
	if err := d.root.Mkdir(staging, 0o700); err != nil {
		return err
	}
	for i, f := range files {
		at := staged(i)
		if f.Link != "" {
			err = d.root.Symlink(f.Link, at)
		} else {
			err = d.write(at, f.Data, f.Mode)
		}
		if err != nil {
			return err
		}
		if err := d.root.Link(f.Name, at+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func staged(i int) string { return staging + "/" + strconv.Itoa(i) }

// write makes a file that is on the disk when it returns.
func (d *Directory) write(name string, data []byte, mode fs.FileMode) error {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// commit writes the plan down; from then on it will be carried out.
func (d *Directory) commit(ctx context.Context, p plan) error {
	err := step.Do(ctx, "quadlet.plan", func() error {
		data, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if err := d.write(planFile+".new", data, 0o600); err != nil {
			return err
		}
		return d.root.Rename(planFile+".new", planFile)
	})
	if err != nil {
		return errors.Join(fmt.Errorf("write into %s: %w", d.path, err), d.root.RemoveAll(staging))
	}
	return d.finish(ctx, p)
}

// finish carries out a plan of which a part may be done. What cannot be placed undoes
// what was.
func (d *Directory) finish(ctx context.Context, p plan) error {
	for i, name := range p.Place {
		err := step.Do(ctx, "quadlet.place", func() error { return d.place(i, name) })
		if err != nil {
			return errors.Join(fmt.Errorf("put %s into %s: %w", name, d.path, err), d.undo(p))
		}
	}
	for _, name := range p.Remove {
		err := step.Do(ctx, "quadlet.remove", func() error { return d.root.RemoveAll(name) })
		if err != nil {
			return errors.Join(fmt.Errorf("remove %s: %w", filepath.Join(d.path, name), withoutPath(err)), d.root.RemoveAll(staging))
		}
	}
	err := step.Do(ctx, "quadlet.list", func() error { return d.record(p) })
	if err != nil {
		return fmt.Errorf("write %s of %s: %w", List, d.path, err)
	}
	return d.root.RemoveAll(staging)
}

func (d *Directory) place(i int, name string) error {
	if dir := path.Dir(name); dir != "." {
		if err := d.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	err := d.root.Rename(staged(i), name)
	if errors.Is(err, fs.ErrNotExist) {
		// It is in place, from before the kill.
		_, err = d.root.Lstat(name)
	}
	return err
}

// undo has the directory as it was before a plan that cannot be carried out.
func (d *Directory) undo(p plan) error {
	var failed []error
	for i, name := range p.Place {
		if _, err := d.root.Lstat(staged(i)); err == nil {
			continue // never placed
		}
		err := d.root.Rename(staged(i)+".old", name)
		if errors.Is(err, fs.ErrNotExist) {
			err = d.root.Remove(name)
		}
		failed = append(failed, err)
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if d.root.Remove(dir) != nil {
				break // it holds something
			}
		}
	}
	return errors.Join(append(failed, d.root.RemoveAll(staging))...)
}

// record brings the lists of the directories up to date that the plan changed.
func (d *Directory) record(p plan) error {
	names := map[string][]string{}
	for _, name := range p.Place {
		if IsUnit(name) {
			names[path.Dir(name)] = append(names[path.Dir(name)], path.Base(name))
		}
	}
	for _, name := range p.Remove {
		if dir := path.Dir(name); names[dir] == nil {
			names[dir] = []string{}
		}
	}
	for dir, added := range names {
		if err := d.list(dir, added); err != nil {
			return err
		}
	}
	return nil
}

// list adds names to the list of a directory, and takes those out whose files are gone.
func (d *Directory) list(dir string, added []string) error {
	file := path.Join(dir, List)
	old, err := d.root.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names := append(added, strings.Fields(string(old))...)
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := d.root.Lstat(path.Join(dir, name))
		return err != nil
	})
	if len(names) == 0 {
		if err := d.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	at := staging + "/list"
	if err := d.root.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.write(at, []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	return d.root.Rename(at, file)
}
