package usernet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootless-pod/pod/internal/flock"
	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/network/netns"
)

// processMark begins the target of a mark that names a process.
const processMark = "process:"

func (u User) check() error {
	if u.Name == "" || u.Name == "." || u.Name == ".." || strings.ContainsRune(u.Name, '/') {
		return fmt.Errorf("user %q of the user's network namespace: not a name", u.Name)
	}
	if (u.NetNS == "") == (u.Process == process.ID{}) {
		return fmt.Errorf("user %s of the user's network namespace: name a namespace or a process", u.Name)
	}
	if !u.exists() {
		return fmt.Errorf("user %s of the user's network namespace: is gone", u.Name)
	}
	return nil
}

// exists asks the kernel whether what the mark names is there.
func (u User) exists() bool {
	if u.NetNS != "" {
		return netns.Check(u.NetNS) == nil
	}
	return u.Process.Alive()
}

// mark writes the user down. A mark is a symbolic link, since one is made and
// replaced in one piece and read with one call.
func (u User) mark(cfg Config) error {
	target := u.NetNS
	if target == "" {
		target = fmt.Sprintf("%s%d:%d", processMark, u.Process.PID, u.Process.Start)
	}
	path := filepath.Join(cfg.Dir, usersDir, u.Name)
	if now, err := os.Readlink(path); err == nil && now == target {
		return nil
	}
	err := os.Symlink(target, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		if err = os.Remove(path); err == nil {
			err = os.Symlink(target, path)
		}
	case errors.Is(err, fs.ErrNotExist):
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.Symlink(target, path)
		}
	}
	if err != nil {
		return fmt.Errorf("mark user of the user's network namespace: %w", err)
	}
	return nil
}

// users reads the marks of those who exist.
func users(cfg Config) []User {
	dir := filepath.Join(cfg.Dir, usersDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []User
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue
		}
		u := User{Name: entry.Name(), NetNS: target}
		if rest, ok := strings.CutPrefix(target, processMark); ok {
			u.NetNS = ""
			if _, err := fmt.Sscanf(rest, "%d:%d", &u.Process.PID, &u.Process.Start); err != nil {
				u.Process = process.ID{}
			}
		}
		if u.exists() {
			found = append(found, u)
		}
	}
	return found
}

// lock takes the lock under which the namespace is made, mended and ended. It is
// held while a helper gets ready, some 10 ms: whoever comes meanwhile needs that
// helper.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	return flock.Wait(ctx, filepath.Join(dir, lockFile))
}
