package isolation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/buildah/define"
)

func TestName(t *testing.T) {
	for in, want := range map[string]string{"": Auto, "default": Auto, "OCI": "oci", "auto": Auto, "rootless": "rootless", "Chroot": "chroot"} {
		if got, err := Name(in); err != nil || got != want {
			t.Errorf("Name(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := Name("vm"); err == nil || !strings.Contains(err.Error(), "auto, oci, rootless or chroot") {
		t.Errorf("Name(vm): %v", err)
	}
}

func TestChoice(t *testing.T) {
	for name, test := range map[string]struct {
		found   Found
		want    define.Isolation
		host    bool
		reduced string
	}{
		"all":        {Found{}, define.IsolationOCIRootless, false, ""},
		"no name":    {Found{NoHostname: "crun: sethostname"}, define.IsolationOCIRootless, true, "RUN steps have this host's name"},
		"no runtime": {Found{OCI: "crun: mount"}, define.IsolationChroot, false, "isolation chroot: crun: mount: RUN steps share this host's network and processes"},
		"nothing":    {Found{OCI: "crun: mount", Chroot: "operation not permitted"}, define.IsolationChroot, false, "RUN steps cannot work"},
	} {
		got := test.found.choice()
		if got.Isolation != test.want || got.HostName != test.host {
			t.Errorf("%s: %+v", name, got)
		}
		if (test.reduced == "") != (got.Reduced == "") || !strings.Contains(got.Reduced, test.reduced) {
			t.Errorf("%s: %q lacks %q", name, got.Reduced, test.reduced)
		}
	}
}

// fakeRuntime is a runtime that says what it was told to, and counts its runs.
func fakeRuntime(t *testing.T, script string) (Host, func() int) {
	t.Helper()
	dir := t.TempDir()
	path, count := filepath.Join(dir, "crun"), filepath.Join(dir, "count")
	text := "#!/bin/sh\nfor a; do [ \"$a\" != run ] || echo >>'" + count + "'; done\n" + script
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	host := Host{Runtime: path, RunDir: filepath.Join(dir, "run"), Scratch: filepath.Join(dir, "scratch")}
	return host, func() int {
		data, _ := os.ReadFile(count)
		return strings.Count(string(data), "\n")
	}
}

func TestFindKeepsTheAnswer(t *testing.T) {
	host, runs := fakeRuntime(t, "exit 0\n")
	for range 2 {
		if found, err := Find(t.Context(), host); err != nil || found != (Found{}) {
			t.Fatalf("found %+v, %v", found, err)
		}
	}
	if runs() != 1 {
		t.Errorf("the runtime was run %d times", runs())
	}
	if left, _ := os.ReadDir(host.Scratch); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	host.RuntimeArgs = []string{"--debug"}
	if _, err := Find(t.Context(), host); err != nil || runs() != 2 {
		t.Errorf("other arguments: %d runs, %v", runs(), err)
	}
	if err := os.WriteFile(filepath.Join(host.RunDir, keptFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(t.Context(), host); err != nil || runs() != 3 {
		t.Errorf("a damaged file: %d runs, %v", runs(), err)
	}
}

func TestFindWithoutHostname(t *testing.T) {
	host, runs := fakeRuntime(t, `grep -q '"hostname"' config.json || exit 0; echo "sethostname: Operation not permitted" >&2; exit 1`+"\n")
	found, err := Find(t.Context(), host)
	if err != nil || found.OCI != "" || !strings.HasPrefix(found.NoHostname, "crun: sethostname: Operation not permitted") {
		t.Errorf("found %+v, %v", found, err)
	}
	if runs() != 2 {
		t.Errorf("%d runs", runs())
	}
}

func TestFindRefused(t *testing.T) {
	host, _ := fakeRuntime(t, "echo noise >&2; echo 'mount `proc` to `proc`: Invalid argument' >&2; exit 1\n")
	found, err := Find(t.Context(), host)
	if err != nil || found.OCI != "crun: mount `proc` to `proc`: Invalid argument" {
		t.Errorf("found %+v, %v", found, err)
	}
	if why := Explain(t.Context(), "oci", host); !strings.Contains(why, "isolation oci: crun: mount") || !strings.Contains(why, "--isolation chroot") {
		t.Errorf("explained: %q", why)
	}
	if why := Explain(t.Context(), Auto, host); why != "" {
		t.Errorf("explained: %q", why)
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"":       "",
		"a\nb\n": "b",
		`time="x" level=error msg="runc run failed: y"`: "runc run failed: y",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// crun 1.8 refuses the version that buildah writes.
func TestFindOldRuntime(t *testing.T) {
	host, runs := fakeRuntime(t, `while [ $# -gt 0 ]; do [ "$1" != --bundle ] || bundle=$2; shift; done
[ -z "$bundle" ] || grep -q '"ociVersion":"1.0.2"' "$bundle/config.json" || { echo "unknown version specified" >&2; exit 1; }
`)
	found, err := Find(t.Context(), host)
	if err != nil || found != (Found{OldVersion: true}) {
		t.Fatalf("found %+v, %v", found, err)
	}
	if runs() != 2 {
		t.Errorf("the runtime was run %d times", runs())
	}
	for _, name := range []string{Auto, "oci"} {
		choice, err := Choose(t.Context(), name, host)
		if err != nil || !choice.OldVersion || choice.Isolation != define.IsolationOCIRootless || choice.Reduced != "" {
			t.Errorf("%s: %+v, %v", name, choice, err)
		}
	}
}
