package nsenter

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The libraries talk to the helper as they do to their own child: it has to be made
// of the same versions, and the name says so.
func TestHelperIsNamedAfterTheLibraries(t *testing.T) {
	name := helperName(t)
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := func(module string) string {
		m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(mod)
		if m == nil {
			t.Fatalf("go.mod does not name %s", module)
		}
		return string(m[1])
	}
	want := fmt.Sprintf("helper-buildah%s-storage%s", version("go.podman.io/buildah"), version("go.podman.io/storage"))
	if name != want {
		t.Errorf("POD_HELPER is %s, want %s", name, want)
	}
}

func helperName(t *testing.T) string {
	t.Helper()
	header, err := os.ReadFile("enter.h")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`#define POD_HELPER "(.+)"`).FindSubmatch(header)
	if m == nil {
		t.Fatal("enter.h does not name the helper")
	}
	return string(m[1])
}

func TestHelper(t *testing.T) {
	dir := t.TempDir()
	self := filepath.Join(dir, "bin/pod")
	helper := filepath.Join(dir, "libexec/pod", helperName(t))
	copyProgram(t, self)
	start := func(name string) string {
		t.Helper()
		cmd := &exec.Cmd{Path: self, Args: []string{name, "-test.run=^$"}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := start("storage-untar"); strings.HasPrefix(got, "helped") {
		t.Errorf("without a helper: %q", got)
	}
	if err := os.MkdirAll(filepath.Dir(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(helper, []byte("#!/bin/sh\necho helped \"$@\"\n"), 0o700); err != nil { //nolint:gosec // it is to be executed
		t.Fatal(err)
	}
	if got, want := start("storage-untar"), "helped -test.run=^$"; got != want {
		t.Errorf("with a helper: %q, want %q", got, want)
	}
	if got := start("something-else"); strings.HasPrefix(got, "helped") {
		t.Errorf("a name that the helper does not know: %q", got)
	}
}

// copyProgram copies this program.
func copyProgram(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700) //nolint:gosec // it is to be executed
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}
