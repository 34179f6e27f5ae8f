package quadlet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ListFile holds, in a directory of Quadlet files, the names of those that are pod's
// although podman's generator reads them too, one a line: `pod quadlet install` put
// them there.
const ListFile = ".pod.list"

// maxList bounds what is read of a list.
const maxList = 1 << 20

// PeerGenerator is podman's generator if systemd starts it too, or empty. It would
// write services of the same names for the same files.
func (h Host) PeerGenerator() string {
	kind := "system"
	if h.User {
		kind = "user"
	}
	for _, dir := range []string{"/run", "/etc", "/usr/local/lib", "/usr/lib"} {
		path := filepath.Join(h.Root, dir, "systemd", kind+"-generators", "podman-"+kind+"-generator")
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		// The first counts, also if it is a link to nothing: that masks the others.
		if info.Mode()&fs.ModeSymlink != 0 {
			info, err = os.Stat(path)
		}
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || info.Size() == 0 {
			return ""
		}
		return path
	}
	return ""
}

// Listed says which names the list of the directory has.
func Listed(dir string) (map[string]bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, ListFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of pod's files: %w", err)
	}
	defer f.Close()
	names := map[string]bool{}
	lines := bufio.NewScanner(io.LimitReader(f, maxList))
	for lines.Scan() {
		if name := strings.TrimSpace(lines.Text()); name != "" {
			names[name] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the list of pod's files: %w", err)
	}
	return names, nil
}

// Mine says of each unit whether its service is pod's to write. All are, unless
// podman's generator (peer) is there: then those that were installed by pod.
func (s *Set) Mine(peer string) (map[*Unit]bool, error) {
	mine := map[*Unit]bool{}
	lists := map[string]map[string]bool{}
	var errs []error
	for _, u := range s.Units {
		if peer == "" {
			mine[u] = true
			continue
		}
		dir := filepath.Dir(u.Path)
		list, known := lists[dir]
		if !known {
			var err error
			if list, err = Listed(dir); err != nil {
				errs = append(errs, err)
			}
			lists[dir] = list
		}
		mine[u] = list[u.Name]
	}
	return mine, errors.Join(errs...)
}
