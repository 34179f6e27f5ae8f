package nsenter

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The constructor takes the place of buildah's own child.
func TestOpenChrooted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("passwd", "root:x:0:0::/:\n")
	write("group", "root:x:0:\n")
	write("big", strings.Repeat("x", 17<<20))
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/passwd", filepath.Join(dir, "inside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../../../etc/passwd", filepath.Join(dir, "outside")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, out string
		args      []string
		fails     bool
	}{
		{name: "a file", args: []string{dir, "/passwd"}, out: "root:x:0:0::/:\n"},
		{name: "two", args: []string{dir, "/passwd", "/group"}, out: "root:x:0:0::/:\nroot:x:0:\n"},
		{name: "a link inside", args: []string{dir, "/inside"}, out: "root:x:0:0::/:\n"},
		{name: "a link to the outside", args: []string{dir, "/outside"}, fails: true},
		{name: "a FIFO", args: []string{dir, "/fifo"}, fails: true},
		{name: "a directory", args: []string{dir, "/"}, fails: true},
		{name: "too big", args: []string{dir, "/big"}, fails: true, out: strings.Repeat("x", 16<<20)},
		{name: "none, and one", args: []string{dir, "/none", "/group"}, fails: true, out: "root:x:0:\n"},
		{name: "no directory", args: []string{dir + "/none", "/passwd"}, fails: true},
		{name: "nothing", fails: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
			cmd.Args = append([]string{"chrootuser-open"}, test.args...)
			out, err := cmd.Output()
			if (err != nil) != test.fails {
				t.Errorf("error %v, want one: %v", err, test.fails)
			}
			if string(out) != test.out {
				t.Errorf("%d bytes, want %d", len(out), len(test.out))
			}
		})
	}
}
