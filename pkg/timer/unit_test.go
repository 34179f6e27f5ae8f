package timer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestJobEnv(t *testing.T) {
	t.Parallel()
	environ := []string{"HOME=/h", "HOMEX=1", "XDG_RUNTIME_DIR=/r", "SECRET=s", "_CONTAINERS_ROOTLESS_UID=7", "POD_X=a=b", "PATH=/bin"}
	got := jobEnv(environ, true)
	want := []string{"HOME=/h", "XDG_RUNTIME_DIR=/r", "_CONTAINERS_ROOTLESS_UID=7", "POD_X=a=b", "PATH=/bin"}
	if !slices.Equal(got, want) {
		t.Errorf("inside: %q, want %q", got, want)
	}
	if got := jobEnv(environ, false); slices.Contains(got, "_CONTAINERS_ROOTLESS_UID=7") {
		t.Errorf("a unit of systemd runs outside the namespaces, but is told %q", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"health-0123abc": true, "a_b-C": true, "": false, "a.b": false, "a/b": false, "*": false, ".a": false,
		strings.Repeat("a", 129): false,
	} {
		if err := check(name); (err == nil) != ok {
			t.Errorf("check(%q) = %v", name, err)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	timers := New(Options{Store: "s", Self: "/bin/pod", RunBase: t.TempDir()})
	if names, err := timers.fileNames(); err != nil || len(names) != 0 {
		t.Fatalf("without a directory: %v, %v", names, err)
	}
	job := Job{Name: "a", After: time.Hour, Every: time.Minute, Args: []string{"line\nbreak", ""}}
	for range 2 { // replacing is writing again
		if err := timers.writeFile(job.Name, timers.jobFields(job)); err != nil {
			t.Fatal(err)
		}
	}
	names, err := timers.fileNames()
	if err != nil || !slices.Equal(names, []string{"s-a"}) {
		t.Fatalf("fileNames = %v, %v", names, err)
	}
	data, err := os.ReadFile(filepath.Join(timers.dir(), "s-a"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{"job=1\x00due=", "\x00every=60000000000\x00arg=/bin/pod\x00arg=line\nbreak\x00arg=\x00", "\x00boot="} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	for range 2 { // the second time it is gone already
		if err := timers.removeFile("a"); err != nil {
			t.Fatal(err)
		}
	}
}
