package quadlet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// errMasked is a file that hides others of its name: a link to /dev/null, as systemd
// has it.
var errMasked = errors.New("masked")

// Load reads all units that the host's directories have, and their drop-ins.
func Load(host Host) (*Set, []Problem) {
	dirs, problems := host.Dirs()
	set, more := LoadDirs(host, dirs)
	return set, append(problems, more...)
}

// LoadDirs reads the units of these directories, without those below them. Of two
// files of one name the first counts.
func LoadDirs(host Host, dirs []string) (*Set, []Problem) {
	set := &Set{host: host}
	var problems []Problem
	kinds := kinds()
	var files []string
	seen := map[string]bool{}
	dropIns := map[string][]string{} // directories by their names
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, unreadable(dir, err))
		}
		for _, e := range entries {
			name, path := e.Name(), filepath.Join(dir, e.Name())
			switch {
			case strings.HasSuffix(name, ".d"):
				dropIns[name] = append(dropIns[name], path)
			case kinds[filepath.Ext(name)] != nil && !strings.HasPrefix(name, ".") && !seen[name] && !e.IsDir():
				seen[name] = true
				files = append(files, path)
			}
		}
	}
	for _, path := range files {
		u := &Unit{Name: filepath.Base(path), Path: path, kind: kinds[filepath.Ext(path)]}
		var err error
		if u.File, err = read(path); errors.Is(err, errMasked) {
			continue
		}
		wrong := append(asProblems(path, err), u.dropIns(dropIns)...)
		if len(wrong) > 0 {
			u.File = nil
		} else {
			u.name()
		}
		problems = append(problems, wrong...)
		set.Units = append(set.Units, u)
	}
	return set, problems
}

// Extensions are those of Quadlet files.
func Extensions() []string { return slices.Sorted(maps.Keys(kinds())) }

// read reads a file: a regular one, or what a link leads to if that is one.
func read(path string) (*unitfile.File, error) {
	// Not blocking: a FIFO that nobody writes to would keep the user from logging in.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		if target, err := os.Readlink(path); err == nil && target == os.DevNull {
			return nil, errMasked
		}
		return nil, errors.New("it is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, unitfile.MaxFile+1))
	if err != nil {
		return nil, err
	}
	return unitfile.Parse(path, data)
}

// asProblems are those of a file that could not be read.
func asProblems(path string, err error) []Problem {
	var wrong unitfile.Errors
	if errors.As(err, &wrong) {
		var problems []Problem
		for _, e := range wrong {
			problems = append(problems, Problem{Pos: e.Pos, Msg: e.Msg})
		}
		return problems
	}
	if err != nil {
		return []Problem{unreadable(path, err)}
	}
	return nil
}

func unreadable(path string, err error) Problem {
	return Problem{Pos: unitfile.Pos{File: path, Line: 1}, Msg: fmt.Sprintf("cannot be read: %v", cause(err))}
}

// cause is an error without the path, which the message has already.
func cause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// dropIns adds what the unit's drop-ins say. Files of one name replace each other: one
// in a directory for fewer units, or searched earlier, counts. All that are left count
// in the order of their names.
func (u *Unit) dropIns(dirs map[string][]string) []Problem {
	paths := map[string]string{}
	for _, name := range dropInDirs(u.Name) {
		for _, dir := range dirs[name] {
			entries, err := os.ReadDir(dir)
			if err != nil {
				continue // it is no directory, or was removed just now
			}
			for _, e := range entries {
				if filepath.Ext(e.Name()) == ".conf" && paths[e.Name()] == "" {
					paths[e.Name()] = filepath.Join(dir, e.Name())
				}
			}
		}
	}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		f, err := read(paths[name])
		if errors.Is(err, errMasked) {
			continue
		}
		if err != nil {
			problems = append(problems, asProblems(paths[name], err)...)
			continue
		}
		u.DropIns = append(u.DropIns, paths[name])
		if u.File != nil {
			u.File.Merge(f)
		}
	}
	return problems
}

// dropInDirs are the names of the directories for drop-ins of a file, those for the
// fewest units first: a-b@c.container.d a-b@.container.d a-.container.d container.d.
func dropInDirs(name string) []string {
	ext := filepath.Ext(name)
	dirs := []string{name + ".d"}
	prefix, instance, ok := template(name)
	if ok && instance != "" {
		dirs = append(dirs, prefix+"@"+ext+".d")
	}
	for i := len(prefix) - 1; i > 0; i-- {
		if dir := prefix[:i+1] + ext + ".d"; prefix[i] == '-' && dir != dirs[0] {
			dirs = append(dirs, dir)
		}
	}
	return append(dirs, strings.TrimPrefix(ext, ".")+".d")
}
