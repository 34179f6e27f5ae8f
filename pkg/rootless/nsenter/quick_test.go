package nsenter

import (
	"bytes"
	"debug/elf"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestQuick(t *testing.T) {
	dir := t.TempDir()
	pod, elsewhere := filepath.Join(dir, "bin/pod"), filepath.Join(dir, "bin/pod-1.0")
	copyProgram(t, pod)
	copyProgram(t, elsewhere)
	quick := filepath.Join(dir, "libexec/pod", "quick-"+buildID(t, pod)[:16])
	const says = "#!/bin/sh\necho quick \"$@\"\n"
	script(t, filepath.Join(dir, "libexec/pod/quick-0123456789abcdef"), says) // of another build
	start := func(env []string, path string, args ...string) string {
		t.Helper()
		cmd := &exec.Cmd{Path: path, Args: append([]string{"podman", "-test.run=^$"}, args...), Env: env}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := start(nil, pod, "ps"); strings.HasPrefix(got, "quick") {
		t.Errorf("without a quick of its own: %q", got)
	}
	script(t, quick, says)
	if got, want := start(nil, pod, "ps", "-a"), "quick -test.run=^$ ps -a"; got != want {
		t.Errorf("with quick: %q, want %q", got, want)
	}
	if got := start(nil, pod, "help"); strings.HasPrefix(got, "quick") {
		t.Errorf("a command that quick does not know: %q", got)
	}
	if got := start([]string{"_POD_WHOLE=-"}, pod, "ps"); strings.HasPrefix(got, "quick") {
		t.Errorf("handed over: %q", got)
	}
	if got := start(nil, elsewhere, "ps"); strings.HasPrefix(got, "quick") {
		t.Errorf("not as bin/pod, where quick would not find it: %q", got)
	}
	script(t, quick, "not a program")
	if got := start(nil, pod, "ps"); strings.HasPrefix(got, "quick") {
		t.Errorf("with a quick that cannot be executed: %q", got)
	}
}

func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // it is to be executed
		t.Fatal(err)
	}
}

// buildID reads the id that the linker gave a program.
func buildID(t *testing.T, path string) string {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	note, err := file.Section(".note.gnu.build-id").Data()
	if err != nil {
		t.Fatal(err)
	}
	_, id, ok := bytes.Cut(note, []byte("GNU\x00"))
	if !ok {
		t.Fatalf("%s has no build id", path)
	}
	return hex.EncodeToString(id)
}
