package quadlet

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// UnitDirsVariable names the directories to search, in the place of the usual ones.
const UnitDirsVariable = "QUADLET_UNIT_DIRS"

const (
	adminDir  = "/etc/containers/systemd"
	vendorDir = "/usr/share/containers/systemd"
	tempDir   = "/run/containers/systemd"
)

// maxDirs bounds a search that somebody has led astray, to /usr for example.
const maxDirs = 4096

// InstallDir is where files are put that a user installs.
func (h Host) InstallDir() string {
	if !h.User {
		return filepath.Join(h.Root, adminDir)
	}
	config := h.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(h.Getenv("HOME"), ".config")
	}
	return filepath.Join(config, "containers/systemd")
}

// Dirs are the directories that are searched, with those below them, in the order in
// which they count. Not all of them exist.
func (h Host) Dirs() ([]string, []Problem) {
	s := &search{seen: map[string]bool{}}
	if list := h.Getenv(UnitDirsVariable); list != "" {
		for dir := range strings.SplitSeq(list, ":") {
			if !filepath.IsAbs(dir) {
				return s.dirs, []Problem{{Pos: unitfile.Pos{File: UnitDirsVariable, Line: 1}, Msg: strconv.Quote(dir) + " is no absolute path: it and what follows is not searched"}}
			}
			s.add(dir, nil)
		}
		return s.dirs, nil
	}
	users := func(dir string) bool {
		return dir != filepath.Join(h.Root, adminDir, "users") && dir != filepath.Join(h.Root, vendorDir, "users")
	}
	if !h.User {
		for _, dir := range []string{tempDir, adminDir, vendorDir} {
			s.add(filepath.Join(h.Root, dir), users)
		}
		return s.dirs, nil
	}
	if run := h.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		s.add(filepath.Join(run, "containers/systemd"), nil)
	}
	if dir := h.InstallDir(); filepath.IsAbs(dir) { // not without HOME
		s.add(dir, nil)
	}
	for _, dir := range []string{adminDir, vendorDir} {
		all := filepath.Join(h.Root, dir, "users")
		// Directories with a number for a name are those of one user each.
		s.add(all, func(dir string) bool { return filepath.Dir(dir) != all || !isNumber(filepath.Base(dir)) })
		s.add(filepath.Join(all, strconv.Itoa(h.UID)), nil)
	}
	return s.dirs, nil
}

func isNumber(name string) bool { return name != "" && strings.Trim(name, "0123456789") == "" }

// search collects directories; what links lead to is searched once.
type search struct {
	dirs []string
	seen map[string]bool
}

// add takes the directory and what is below it and passes the filter. Directories of
// drop-ins are none of their own.
func (s *search) add(dir string, filter func(string) bool) {
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	if s.seen[dir] || len(s.dirs) >= maxDirs || filter != nil && !filter(dir) {
		return
	}
	s.seen[dir] = true
	s.dirs = append(s.dirs, dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasSuffix(e.Name(), ".d") || !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			s.add(path, filter)
		}
	}
}
