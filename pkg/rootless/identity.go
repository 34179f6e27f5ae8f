package rootless

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rootless-pod/pod/internal/process"
)

// kind is which namespaces a pause process keeps.
type kind string

const (
	kindNone  kind = ""
	kindUser  kind = "user"  // user and mount namespace
	kindMount kind = "mount" // mount namespace only, for root
)

// identity is what a later command must find true of the pause process before it
// joins. The file is lines of key=value which nsenter's C code reads too.
type identity struct {
	Kind    kind
	Process process.ID
	Boot    string
	// User and Mount are the inodes of the namespaces.
	User, Mount uint64
	Hybrid      bool
	// Reduced is what is less than it could be; free text, so it comes last.
	Reduced []string
}

// errBadIdentity says that the identity file is not one.
var errBadIdentity = errors.New("identity file is damaged")

const identityHeader = "pod-namespaces 1"

func identityPath(base string) string { return filepath.Join(podDir(base), "namespaces") }
func lockPath(base string) string     { return filepath.Join(podDir(base), "namespaces.lock") }

// readIdentity reads the identity file below a run directory.
func readIdentity(base string) (*identity, error) {
	b, err := os.ReadFile(identityPath(base))
	if err != nil {
		return nil, fmt.Errorf("read namespace identity: %w", err)
	}
	return parseIdentity(b)
}

func parseIdentity(b []byte) (*identity, error) {
	rest, ok := bytes.CutPrefix(b, []byte(identityHeader+"\n"))
	if !ok {
		return nil, errBadIdentity
	}
	id := &identity{}
	var err error
	for line := range strings.Lines(string(rest)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "kind":
			id.Kind = kind(value)
		case "pid":
			id.Process.PID, err = strconv.Atoi(value)
		case "start":
			id.Process.Start, err = strconv.ParseUint(value, 10, 64)
		case "boot":
			id.Boot = value
		case "user":
			id.User, err = strconv.ParseUint(value, 10, 64)
		case "mnt":
			id.Mount, err = strconv.ParseUint(value, 10, 64)
		case "hybrid":
			id.Hybrid = value == "1"
		case "reduced":
			id.Reduced = append(id.Reduced, value)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s", errBadIdentity, key)
		}
	}
	if id.Process.PID <= 0 || id.Process.Start == 0 || id.Boot == "" || id.User == 0 || id.Mount == 0 {
		return nil, errBadIdentity
	}
	return id, nil
}

func (id *identity) text() []byte {
	var b bytes.Buffer
	hybrid := 0
	if id.Hybrid {
		hybrid = 1
	}
	fmt.Fprintf(&b, "%s\nkind=%s\npid=%d\nstart=%d\nboot=%s\nuser=%d\nmnt=%d\nhybrid=%d\n",
		identityHeader, id.Kind, id.Process.PID, id.Process.Start, id.Boot, id.User, id.Mount, hybrid)
	for _, line := range id.Reduced {
		fmt.Fprintf(&b, "reduced=%s\n", strings.ReplaceAll(line, "\n", " "))
	}
	return b.Bytes()
}

// write puts the file in place at once or not at all. The sticky bit keeps
// systemd-tmpfiles from ageing it away below /tmp.
func (id *identity) write(base string) error {
	tmp := identityPath(base) + ".new" // the caller holds the lock
	if err := os.WriteFile(tmp, id.text(), 0o600); err != nil {
		return fmt.Errorf("write namespace identity: %w", err)
	}
	if err := os.Chmod(tmp, 0o600|os.ModeSticky); err != nil {
		return fmt.Errorf("write namespace identity: %w", err)
	}
	if err := os.Rename(tmp, identityPath(base)); err != nil {
		return fmt.Errorf("write namespace identity: %w", err)
	}
	return nil
}

// observe fills in what the kernel says of the pause process.
func (id *identity) observe(pid int) (err error) {
	if id.Process, err = process.Of(pid); err != nil {
		return err
	}
	if id.Boot, err = process.BootID(); err != nil {
		return err
	}
	id.User, id.Mount, err = namespaces("/proc/" + strconv.Itoa(pid))
	return err
}

// verify returns nil if the process is the pause process that was recorded, in
// this boot, ours, and in the recorded namespaces; otherwise what is different.
func (id *identity) verify(want kind) error {
	boot, err := process.BootID()
	if err != nil {
		return err
	}
	switch {
	case id.Boot != boot:
		return errors.New("it is of an earlier boot")
	case id.Kind != want:
		return fmt.Errorf("it keeps %q namespaces, wanted are %q", id.Kind, want)
	case !id.Process.Alive():
		return fmt.Errorf("process %d is gone", id.Process.PID)
	}
	dir := "/proc/" + strconv.Itoa(id.Process.PID)
	st, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("check pause process: %w", err)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("process %d is another user's", id.Process.PID)
	}
	user, mount, err := namespaces(dir)
	if err != nil {
		return err
	}
	if user != id.User || mount != id.Mount {
		return fmt.Errorf("process %d is in other namespaces", id.Process.PID)
	}
	return nil
}

// namespaces returns the inodes of a process's user and mount namespace.
func namespaces(proc string) (user, mount uint64, err error) {
	var st syscall.Stat_t
	if err := syscall.Stat(proc+"/ns/user", &st); err != nil {
		return 0, 0, fmt.Errorf("read %s/ns/user: %w", proc, err)
	}
	user = st.Ino
	if err := syscall.Stat(proc+"/ns/mnt", &st); err != nil {
		return 0, 0, fmt.Errorf("read %s/ns/mnt: %w", proc, err)
	}
	return user, st.Ino, nil
}

// Pause is the process that keeps the user's namespaces, as its maker noted it.
func Pause(base string) (process.ID, error) {
	id, err := readIdentity(base)
	if err != nil {
		return process.ID{}, err
	}
	return id.Process, nil
}
