package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestHosts(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	put(t, base, "# comment\n127.0.0.1 localhost vm # the host\n\n10.1.1.1\tmirror web\nlonely\n")
	image := filepath.Join(dir, "image")
	put(t, filepath.Join(image, "etc/hosts"), "10.7.7.7 of-the-image\n")
	addr := []netip.Prefix{netip.MustParsePrefix("10.0.2.100/24")}
	tests := []struct {
		name string
		in   Hosts
		want string
	}{
		{
			"base file keeps what it names",
			Hosts{Base: base, Addresses: addr, Names: []string{"box", "web"}, HostAddress: "169.254.1.2"},
			"127.0.0.1\tlocalhost vm\n10.1.1.1\tmirror web\n169.254.1.2\thost.containers.internal host.docker.internal\n10.0.2.100\tbox\n",
		},
		{
			"added first",
			Hosts{Base: "none", AddHosts: []string{"db;db2:10.9.9.9", "gw:host-gateway", "six:::1", "box:1.1.1.1"}, Addresses: addr, Names: []string{"box"}, HostAddress: "10.0.2.2"},
			"10.9.9.9\tdb db2\n10.0.2.2\tgw\n::1\tsix\n1.1.1.1\tbox\n127.0.0.1\tlocalhost\n::1\tlocalhost\n10.0.2.2\thost.containers.internal host.docker.internal\n",
		},
		{"no network", Hosts{Base: "none", Names: []string{"box", "name"}}, "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\tbox name\n"},
		{"image", Hosts{Base: "image", Rootfs: image, Names: []string{"x"}}, "10.7.7.7\tof-the-image\n127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\tx\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts")
			if err := tt.in.Write(path); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestHostsRefuses(t *testing.T) {
	for _, add := range []string{"x", ":1.2.3.4", "x:", "x:y", "a b:1.2.3.4", "a\nb:1.2.3.4", "x:host-gateway"} {
		if _, err := (Hosts{Base: "none", AddHosts: []string{add}}).Content(); err == nil || !strings.Contains(err.Error(), "add host") {
			t.Errorf("%q: %v", add, err)
		}
	}
}

// TestHostsHostileImage: what the image puts at /etc/hosts is neither followed
// out of the image nor waited for.
func TestHostsHostileImage(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	put(t, secret, "6.6.6.6 secret\n")
	link := filepath.Join(dir, "link")
	put(t, filepath.Join(link, "etc/x"), "")
	if err := os.Symlink("../../secret", filepath.Join(link, "etc/hosts")); err != nil {
		t.Fatal(err)
	}
	got, err := Hosts{Base: "image", Rootfs: link}.Content()
	if err != nil || strings.Contains(string(got), "secret") {
		t.Errorf("link out of the image: %q, %v", got, err)
	}
	fifo := filepath.Join(dir, "fifo")
	put(t, filepath.Join(fifo, "etc/x"), "")
	if err := syscall.Mkfifo(filepath.Join(fifo, "etc/hosts"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Hosts{Base: "image", Rootfs: fifo}).Content(); err == nil {
		t.Error("a fifo was read")
	}
}

func TestResolv(t *testing.T) {
	const plain = "nameserver 10.0.0.53\nnameserver fe80::1%eth0\nnameserver fd00::53\nnameserver ::1\nsearch a.example b.example\noptions edns0 trust-ad\n"
	stub := "# stub\nnameserver 127.0.0.53\noptions edns0\nsearch stub.example\n"
	tests := []struct {
		name  string
		files map[string]string
		in    Resolv
		want  string
	}{
		{
			"host's and forward",
			map[string]string{"etc/resolv.conf": plain},
			Resolv{Forward: []string{"169.254.1.1"}},
			"search a.example b.example\nnameserver 169.254.1.1\nnameserver 10.0.0.53\noptions edns0 trust-ad\n",
		},
		{
			"ipv6",
			map[string]string{"etc/resolv.conf": plain},
			Resolv{IPv6: true},
			"search a.example b.example\nnameserver 10.0.0.53\nnameserver fd00::53\noptions edns0 trust-ad\n",
		},
		{
			"user's",
			map[string]string{"etc/resolv.conf": plain},
			Resolv{Servers: []string{"1.1.1.1"}, Search: []string{"."}, Options: []string{"ndots:1"}, Forward: []string{"169.254.1.1"}},
			"nameserver 1.1.1.1\noptions ndots:1\n",
		},
		{
			"resolved",
			map[string]string{"etc/resolv.conf": stub, "run/systemd/resolve/resolv.conf": "nameserver 10.3.3.3\nsearch real.example\n"},
			Resolv{},
			"search real.example\nnameserver 10.3.3.3\n",
		},
		{"loopback only", map[string]string{"etc/resolv.conf": "nameserver 127.0.0.1\n"}, Resolv{Forward: []string{"10.0.2.3"}}, "nameserver 10.0.2.3\n"},
		{"host network", map[string]string{"etc/resolv.conf": stub}, Resolv{HostNetwork: true}, "search stub.example\nnameserver 127.0.0.53\noptions edns0\n"},
		{"none", nil, Resolv{Forward: []string{"169.254.1.1"}}, "nameserver 169.254.1.1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Root = t.TempDir()
			for name, text := range tt.files {
				put(t, filepath.Join(tt.in.Root, name), text)
			}
			path := filepath.Join(t.TempDir(), "resolv.conf")
			if err := tt.in.Write(path); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
	for _, bad := range []Resolv{{Servers: []string{"dns.example"}}, {Search: []string{"a\nnameserver 6.6.6.6"}}, {Options: []string{""}}} {
		if _, err := bad.Content(); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func BenchmarkFiles(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		if err := (Hosts{Names: []string{"x"}}).Write(dir + "/hosts"); err != nil {
			b.Fatal(err)
		}
		if err := (Resolv{Forward: []string{"169.254.1.1"}}).Write(dir + "/resolv"); err != nil {
			b.Fatal(err)
		}
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
