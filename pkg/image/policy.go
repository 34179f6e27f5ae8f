package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.podman.io/storage/pkg/configfile"
	"golang.org/x/sys/unix"
)

// acceptAnything is the policy that distributions ship, for a machine on which
// the package that holds it is not installed.
const acceptAnything = `{"default":[{"type":"insecureAcceptAnything"}],` +
	`"transports":{"docker-daemon":{"":[{"type":"insecureAcceptAnything"}]}}}`

// policyPath is the signature policy in force: the one asked for, or none (the
// library then finds policy.json in its places), or a built-in one when no such
// file exists. A file that exists but cannot be read is an error later: a
// policy is never skipped.
func (s *Store) policyPath() (string, error) {
	if s.opts.SignaturePolicy != "" {
		return s.opts.SignaturePolicy, nil
	}
	if os.Getenv("CONTAINERS_POLICY_JSON") != "" {
		return "", nil
	}
	places := []string{"/etc/containers", "/usr/share/containers"}
	if dir, err := configfile.UserConfigPath(); err == nil {
		places = append(places, dir)
	}
	for _, dir := range places {
		if _, err := os.Stat(filepath.Join(dir, "policy.json")); !errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
	}
	return s.builtin()
}

// builtinPolicy puts the built-in policy into memory; libimage wants a path.
func builtinPolicy() (string, error) {
	fd, err := unix.MemfdCreate("policy.json", unix.MFD_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("built-in signature policy: %w", err)
	}
	if _, err := unix.Write(fd, []byte(acceptAnything)); err != nil {
		return "", fmt.Errorf("built-in signature policy: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd), nil
}
