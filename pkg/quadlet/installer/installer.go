// Package installer puts Quadlet files where the generators look for those of the
// user or the system, and takes them away again: what `pod quadlet install` and `rm`
// do to files. What a file says is package quadlet's matter, and whether its service
// runs is systemd's; who calls has asked both.
//
// Several files come or go together. Whoever is killed between two of them is
// finished by the next who opens the directory.
package installer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/quadlet"
)

// List is the file that names, one a line, what pod put in its directory. The
// generators read it where podman's stand beside them.
const List = quadlet.ListFile

// staging is the directory below the unit directory that holds what is on its way;
// nothing in it has a name that a generator takes.
const staging = ".pod-installing"

// Multi is the extension of a file that holds several others.
const Multi = ".quadlets"

// IsUnit says whether a name is that of a Quadlet file.
func IsUnit(name string) bool { return slices.Contains(quadlet.Extensions(), path.Ext(name)) }

// Bounds of what is installed at once. Content of volumes and images is not installed;
// what units and their configuration need is small.
const (
	maxUnit  = 1 << 20
	maxFile  = 16 << 20
	maxAll   = 64 << 20
	maxFiles = 2000
)

// File is one file on its way.
type File struct {
	// Name is its path below the unit directory, with slashes.
	Name string
	// Source is what the user knows it by: a path or an address. For a part of a
	// .quadlets file Line is the line of it before the part's first.
	Source string
	Line   int
	Data   []byte
	Mode   fs.FileMode
	// Link is the target of a link to a file beside it; such a file has no Data.
	Link string
}

// Error is what is wrong with one of the sources.
type Error struct {
	Source string
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("quadlet %q: %v", e.Source, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// unitName is what systemd takes for the name of a unit.
var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]+$`)

// checkName says what is wrong with one component of a path that is to be written.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no name of a file", name)
	case strings.ContainsAny(name, "/\\\x00\n") && !IsUnit(name), strings.Contains(name, "/"):
		return fmt.Errorf("name %q cannot contain path separators", name)
	case name == List || strings.HasPrefix(name, ".pod-install"):
		return fmt.Errorf("name %q is pod's own", name)
	case len(name) > 255:
		return fmt.Errorf("name %.20q… is longer than 255 bytes", name)
	case IsUnit(name) && (!unitName.MatchString(name) || strings.HasPrefix(name, ".")):
		return fmt.Errorf("name %q is none that systemd takes for a unit: letters, digits and :_.\\@- are", name)
	case IsUnit(name) && strings.TrimSuffix(name, path.Ext(name)) == "":
		return fmt.Errorf("name %q is an extension only", name)
	}
	return nil
}

// CheckApplication says what is wrong with the name of an application, which is a
// directory below the unit directory.
func CheckApplication(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("invalid application name: %w", err)
	}
	if strings.HasPrefix(name, ".") || IsUnit(name) || path.Ext(name) == Multi || strings.HasSuffix(name, ".d") {
		return fmt.Errorf("invalid application name: %q is the name of a unit, of drop-ins or of a hidden file", name)
	}
	return nil
}

// Exists is the error of a file that is there and was not to be replaced.
func exists(name string) error {
	return fmt.Errorf("a Quadlet with name %s already exists, refusing to overwrite: --replace replaces it", path.Base(name))
}

// duplicates says which name comes twice.
func duplicates(files []File) error {
	seen := map[string]string{}
	for _, f := range files {
		if first, twice := seen[f.Name]; twice {
			return &Error{f.Source, fmt.Errorf("it has the name %s, as %q has", f.Name, first)}
		}
		seen[f.Name] = f.Source
	}
	return nil
}

// errTooMuch is the error of an application that is no longer configuration.
var errTooMuch = errors.New("more than 64 MiB or 2000 files: data belongs in volumes or images, not beside units")
