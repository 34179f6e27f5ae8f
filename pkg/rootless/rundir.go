package rootless

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fallbackPrefix begins the run directory of a user who has none of the system.
const fallbackPrefix = "/tmp/pod-run-"

// RunBase returns the run directory of the user with this host uid: his
// XDG_RUNTIME_DIR if that is a directory of his, /run/user/UID if that is, or a
// private /tmp/pod-run-UID, which it makes. Root's is /run. nsenter's C code
// finds the same one; it only never makes it.
func RunBase(uid int) (string, error) {
	if uid == 0 {
		return "/run", nil
	}
	if dir := os.Getenv(envRuntimeDir); strings.HasPrefix(dir, "/") && ownDir(dir) {
		return dir, nil
	}
	if dir := systemRunDir(uid); ownDir(dir) {
		return dir, nil
	}
	return privateDir(fallbackDir(uid))
}

func systemRunDir(uid int) string { return "/run/user/" + strconv.Itoa(uid) }

func fallbackDir(uid int) string { return fallbackPrefix + strconv.Itoa(uid) }

// ownDir reports whether path is a directory of the calling user. Inside the
// user namespace he is 0, and so are his files.
func ownDir(path string) bool {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR && int(st.Uid) == os.Geteuid()
}

// privateDir makes path if it is missing and refuses it unless it is a directory
// of ours that nobody else can enter: in /tmp anybody may have made it before.
func privateDir(path string) (string, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make run directory: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", fmt.Errorf("check run directory %s: %w", path, err)
	}
	var reason string
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		reason = "is a symbolic link"
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		reason = "is not a directory"
	case int(st.Uid) != os.Geteuid():
		reason = fmt.Sprintf("belongs to uid %d", st.Uid)
	case st.Mode&0o077 != 0:
		reason = fmt.Sprintf("is open to others (mode %04o)", st.Mode&0o777)
	default:
		return path, nil
	}
	return "", fmt.Errorf("run directory %s %s: remove it, or set XDG_RUNTIME_DIR to a private directory", path, reason)
}

// podDir is where pod keeps its own files below a run directory.
func podDir(base string) string { return filepath.Join(base, "pod") }

// makePodDir makes pod's own directory. The directory around it is private
// already, so it is enough that nobody else can write here.
func makePodDir(base string) error {
	dir := podDir(base)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make run directory: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("check run directory %s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("run directory %s is not a directory which only uid %d can write: remove it", dir, os.Geteuid())
	}
	return nil
}

func isFallback(base string) bool { return strings.HasPrefix(base, fallbackPrefix) }
