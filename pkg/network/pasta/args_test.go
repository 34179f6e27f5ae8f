package pasta

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestBuild(t *testing.T) {
	const tail = " --foreground --pid /p --netns /n"
	tests := []struct {
		name     string
		opts     Options
		mapGuest bool
		want     string
		dns      []string
		host     []string
	}{
		{
			name: "defaults", mapGuest: true,
			want: "--config-net -t none -u none -T none -U none --dns-forward 169.254.1.1 --map-guest-addr 169.254.1.2 --no-map-gw --quiet",
			dns:  []string{"169.254.1.1"}, host: []string{"169.254.1.2"},
		},
		{
			name: "old pasta",
			want: "--config-net -t none -u none -T none -U none --dns-forward 169.254.1.1 --no-map-gw --quiet",
			dns:  []string{"169.254.1.1"},
		},
		{
			name: "ports",
			opts: Options{Ports: []specgen.PortMapping{
				{HostIP: "127.0.0.1", HostPort: 8080, ContainerPort: 80, Range: 1, Protocol: "tcp"},
				{HostIP: "[::1]", HostPort: 9000, ContainerPort: 90, Range: 3, Protocol: "tcp"},
				{HostPort: 53, ContainerPort: 5353, Range: 1, Protocol: "udp"},
			}},
			want: "--config-net -t 127.0.0.1/8080-8080:80-80 -t ::1/9000-9002:90-92 -u 53-53:5353-5353 -T none -U none --dns-forward 169.254.1.1 --no-map-gw --quiet",
			dns:  []string{"169.254.1.1"},
		},
		{
			name: "user options win", mapGuest: true,
			opts: Options{Extra: []string{"-T", "5432", "--dns-forward=10.0.0.1", "--map-gw", "--map-guest-addr", "10.0.0.2", "--debug", "--tcp-ports", "80"}},
			want: "--config-net -T 5432 --dns-forward=10.0.0.1 --map-guest-addr 10.0.0.2 --debug --tcp-ports 80 -u none -U none",
			dns:  []string{"10.0.0.1"}, host: []string{"10.0.0.2"},
		},
		{
			name: "real root", opts: Options{RealRoot: true},
			want: "--config-net -t none -u none -T none -U none --dns-forward 169.254.1.1 --no-map-gw --quiet --runas 0",
			dns:  []string{"169.254.1.1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.PIDFile, tt.opts.NetNS = "/p", "/n"
			got, err := build(tt.opts, tt.mapGuest)
			if err != nil {
				t.Fatal(err)
			}
			if args := strings.Join(got.argv, " "); args != tt.want+tail {
				t.Errorf("arguments:\n got %s\nwant %s", args, tt.want+tail)
			}
			if !slices.Equal(got.dns, tt.dns) || !slices.Equal(got.host, tt.host) {
				t.Errorf("dns %v host %v, want %v %v", got.dns, got.host, tt.dns, tt.host)
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, p := range []specgen.PortMapping{
		{HostPort: 1, ContainerPort: 1, Range: 1, Protocol: "sctp"},
		{HostIP: "localhost", HostPort: 1, ContainerPort: 1, Range: 1, Protocol: "tcp"},
	} {
		if _, err := build(Options{Ports: []specgen.PortMapping{p}}, false); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
}

// TestDetectAsksOnce counts the starts of a stand-in for pasta.
func TestDetectAsksOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pasta")
	write := func(option string) {
		t.Helper()
		script := "#!/bin/sh\necho x >> " + dir + "/asked\necho '  " + option + " ADDR'\nexit 1\n"
		if err := os.WriteFile(path+".new", []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil { // a new inode, as an upgrade makes
			t.Fatal(err)
		}
	}
	ask := func(want bool, asked int) {
		t.Helper()
		f, err := detect(t.Context(), path, dir)
		if err != nil {
			t.Fatal(err)
		}
		if f.MapGuest != want {
			t.Errorf("map guest %v, want %v", f.MapGuest, want)
		}
		log, err := os.ReadFile(dir + "/asked")
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(log), "x"); n != asked {
			t.Errorf("asked %d times, want %d", n, asked)
		}
	}
	write("--map-guest-addr")
	ask(true, 1)
	ask(true, 1)
	write("--other")
	ask(false, 2)
	ask(false, 2)
}
