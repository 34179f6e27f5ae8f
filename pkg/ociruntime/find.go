package ociruntime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotInstalled is the cause when no executable of a runtime or of conmon was
// found.
var ErrNotInstalled = errors.New("not installed")

// preferred returns the runtimes tried in order when the user named none.
func preferred() []string { return []string{"crun", "runc", "youki"} }

// binDirs returns where distributions put runtimes, tried after $PATH.
func binDirs() []string {
	return []string{
		"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin",
		"/bin", "/sbin", "/run/current-system/sw/bin",
	}
}

// Find returns the executable of an OCI runtime. An argument with a slash is a
// path and taken as it is. A name is looked up in search, the table of
// containers.conf, then in $PATH and the usual directories. An empty argument
// takes the first of crun, runc and youki that is there. The error names what
// was tried and what to install.
func Find(nameOrPath string, search map[string][]string) (string, error) {
	if strings.Contains(nameOrPath, "/") {
		if err := executable(nameOrPath); err != nil {
			return "", fmt.Errorf("OCI runtime %s: %w: name an installed one with --runtime, such as crun", nameOrPath, err)
		}
		return filepath.Abs(nameOrPath)
	}
	if nameOrPath != "" {
		return findNamed("OCI runtime", nameOrPath, nameOrPath, search[nameOrPath])
	}
	for _, name := range preferred() {
		if path, err := findNamed("OCI runtime", name, name, search[name]); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("OCI runtime %w: none of %s found: install the package crun (pod doctor --check runtime explains)",
		ErrNotInstalled, strings.Join(preferred(), ", "))
}

// FindConmon returns conmon's executable: the first that exists of search, the
// list of containers.conf, then what $PATH and the usual directories have.
func FindConmon(search []string) (string, error) {
	return findNamed("monitor", "conmon", "conmon", search)
}

// CheckConmon says why a conmon that the user named cannot be used.
func CheckConmon(path string) error {
	if err := executable(path); err != nil {
		return fmt.Errorf("conmon %s: %w: install conmon, or name another one with --conmon", path, err)
	}
	return nil
}

// findNamed looks through candidates, then through the directories.
func findNamed(what, name, pkg string, candidates []string) (string, error) {
	tried := append([]string(nil), candidates...)
	seen := map[string]bool{}
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), binDirs()...) {
		if filepath.IsAbs(dir) && !seen[dir] {
			seen[dir] = true
			tried = append(tried, filepath.Join(dir, name))
		}
	}
	for _, path := range tried {
		if executable(path) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s %s %w: tried %s: install the package %s",
		what, name, ErrNotInstalled, strings.Join(tried, ", "), pkg)
}

// executable returns nil if path is a file this process may execute.
func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		var perr *os.PathError
		if errors.As(err, &perr) {
			return perr.Err
		}
		return err
	}
	if info.IsDir() {
		return unix.EISDIR
	}
	return unix.Access(path, unix.X_OK)
}
