package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Usable tells whether the user with the host's uid can write to the journal
// and read back what it wrote. root is where the host's tree begins.
func Usable(root string, uid int) bool { return Readable(root, uid) == nil }

// Readable says why the user with the host's uid cannot write to the journal or
// not read back what it wrote; journalctl itself shows nothing then, and no error.
func Readable(root string, uid int) error {
	if _, err := os.Stat(filepath.Join(root, Socket)); err != nil {
		return errors.New("no journald listens here: use --log-driver k8s-file")
	}
	id, err := os.ReadFile(filepath.Join(root, "/etc/machine-id"))
	if err != nil {
		return fmt.Errorf("its journal cannot be found: %w: as root: systemd-machine-id-setup", err)
	}
	machine := strings.TrimSpace(string(id))
	readable := func(path string) bool {
		f, err := os.Open(path)
		if err != nil {
			return false
		}
		return f.Close() == nil
	}
	persistent := filepath.Join(root, "/var/log/journal", machine)
	for _, dir := range []string{persistent, filepath.Join(root, "/run/log/journal", machine)} {
		if readable(filepath.Join(dir, "system.journal")) {
			return nil
		}
	}
	const remedy = "as root: usermod -aG systemd-journal USER, then log in again; or use --log-driver k8s-file"
	switch {
	case inSystemJournal(uid):
		return fmt.Errorf("journald keeps what uid %d logs in the system's journal, which you may not read: %s", uid, remedy)
	case !readable(persistent):
		return fmt.Errorf("without %s there is only the system's journal, which you may not read: "+
			"as root: mkdir -p /var/log/journal && journalctl --flush; or %s", filepath.Dir(persistent), remedy)
	}
	return nil
}

// inSystemJournal tells whether journald takes a user for one of the system, of
// a service with DynamicUser, nobody or a container: those get no journal of
// their own, not even beside a persistent one.
func inSystemJournal(uid int) bool {
	switch {
	case uid < 1000, uid == 65534:
		return true
	case uid >= 61184 && uid <= 65519: // dynamic
		return true
	}
	return uid >= 0x80000 && uid <= 0x6fffffff // containers
}
