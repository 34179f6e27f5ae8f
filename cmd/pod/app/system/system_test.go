package system

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/events"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEventFormats(t *testing.T) {
	code := 3
	e := events.Event{
		Time: time.Unix(1700000000, 5), Type: events.Container, Status: events.Died, ID: "abc", Name: "web",
		Image: "nginx", ExitCode: &code, Attributes: map[string]string{"a": "<b>"},
	}
	tests := []struct{ format, want string }{
		{"", e.Line(false) + "\n"},
		{"json", `{"Name":"web","Status":"died","time":1700000000,"timeNano":1700000000000000005,"Type":"container","Attributes":{"a":"<b>"},"ID":"abc","Image":"nginx","ContainerExitCode":3}` + "\n"},
		{"{{.Status}} {{.ContainerExitCode}} {{.Attributes.a}} {{.Details.Attributes.a}}", "died 3 <b> <b>\n"},
		{"{{.}}", e.Line(false) + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.format, func(t *testing.T) {
			var out bytes.Buffer
			show, err := eventPrinter(&cli.App{Out: &out}, eventsOptions{format: tt.format, noTrunc: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := show(e); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Fatalf("got  %s\nwant %s", out.String(), tt.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	u := usage{Total: 3, RawSize: 200, RawReclaimable: 50}
	u.finish()
	if u.TotalCount != 3 || u.Size != "200B" || u.Reclaimable != "50B (25%)" {
		t.Fatalf("got %+v", u)
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "Yes\n": true, "y": true, "n\n": false, "\n": false, "": false} {
		in, err := os.Open(write(t, answer))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		got, err := (&cli.App{In: in, Out: &out}).Confirmed()
		_ = in.Close()
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
	}
}

func TestCheckStoreAndWipe(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "thesis"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkStore(home); err == nil {
		t.Error("a home directory passes as a store")
	}
	if err := checkStore(t.TempDir()); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
	if err := checkStore(filepath.Join(home, "none")); err != nil {
		t.Errorf("a missing directory: %v", err)
	}
	store := t.TempDir()
	if err := os.MkdirAll(filepath.Join(store, "overlay-layers", "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(home, filepath.Join(store, "link")); err != nil {
		t.Fatal(err)
	}
	if err := checkStore(store); err != nil {
		t.Errorf("a store: %v", err)
	}
	if err := wipe(store); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(store)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(home, "thesis")); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
}

func TestPruneRefusesFilters(t *testing.T) {
	for _, o := range []pruneOptions{{filters: []string{"x=y"}, force: true}, {filters: []string{"unused-for=soon"}, force: true}, {external: true, volumes: true, force: true}} {
		if err := runPrune(t.Context(), &cli.App{}, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestHostFiles(t *testing.T) {
	d := readDistribution(write(t, "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nNAME='x=y'\n"))
	if want := (distribution{Distribution: "debian", Version: "13", Codename: "trixie"}); d != want {
		t.Errorf("distribution %+v, want %+v", d, want)
	}
	if d := readDistribution("/nonexistent"); d.Distribution != "unknown" {
		t.Errorf("distribution %+v", d)
	}
	u := readUtilization(write(t, "cpu  10 0 20 70 0 0 0\ncpu0 1 1 1 1\n"))
	if u == nil || *u != (utilization{UserPercent: 10, SystemPercent: 20, IdlePercent: 70}) {
		t.Errorf("utilization %+v", u)
	}
	for _, broken := range []string{"", "cpu\n", "cpu a b c d\n", "cpu 0 0 0 0\n"} {
		if u := readUtilization(write(t, broken)); u != nil {
			t.Errorf("%q: %+v", broken, u)
		}
	}
	for d, want := range map[time.Duration]string{
		90*time.Minute + 5*time.Second: "1h 30m 5.00s",
		36 * time.Hour:                 "36h 0m 0.00s (Approximately 1.50 days)",
	} {
		if got := uptime(d); got != want {
			t.Errorf("uptime %q, want %q", got, want)
		}
	}
}

func TestPackages(t *testing.T) {
	owners := parseOwners("passt: /usr/bin/pasta\nlibc6:amd64, libc6:i386: /lib/x.so\ndiversion by dash from: /bin/sh\ncrun: /usr/bin/crun\n")
	want := map[string]string{"/usr/bin/pasta": "passt", "/lib/x.so": "libc6", "/usr/bin/crun": "crun"}
	if !maps.Equal(owners, want) {
		t.Errorf("owners %v", owners)
	}
	versions := parseVersions("crun crun_1.21-1_amd64\npasst passt_0.0_amd64\n")
	if versions["crun"] != "crun_1.21-1_amd64" || versions["passt"] != "passt_0.0_amd64" {
		t.Errorf("versions %v", versions)
	}
}

func TestAskGivesUp(t *testing.T) {
	if got := ask(t.Context(), "/nonexistent"); got != "" {
		t.Errorf("got %q", got)
	}
	if got := ask(t.Context(), "/bin/echo", "v1"); got != "v1" {
		t.Errorf("got %q", got)
	}
}
