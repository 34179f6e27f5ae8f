package oneid

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const inChild = "ONEID_CHILD"

// The filter stays for ever, so a process of its own gets it, which is root in a user
// namespace with one id.
func TestPretend(t *testing.T) {
	if dir := os.Getenv(inChild); dir != "" {
		child(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPretend$", "-test.v")
	cmd.Env = append(os.Environ(), inChild+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("skip: user namespaces are refused here")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func child(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 33, 33); !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("before: %v", err)
	}
	if err := Pretend(); err != nil {
		t.Fatal(err)
	}
	// Other threads have it too.
	done := make(chan error)
	for range 8 {
		go func() { done <- os.Chown(file, 33, 33) }()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Errorf("chown: %v", err)
		}
	}
	if err := exec.CommandContext(t.Context(), "chown", "33:33", file).Run(); err != nil {
		t.Errorf("the command chown: %v", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 { //nolint:errcheck // of Linux
		t.Errorf("the owner is %d", uid)
	}
}
