package aardvark

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range texts {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// server has no program that could start: what is looked at are the files.
func server(t *testing.T) Server {
	t.Helper()
	return Server{Path: "/nowhere/aardvark-dns", Dir: t.TempDir(), Inside: func(func() error) error { return errors.New("not here") }}
}

// files returns what aardvark-dns would read.
func files(t *testing.T, s Server) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range s.files() {
		data, err := os.ReadFile(filepath.Join(s.config(), name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}

func TestFiles(t *testing.T) {
	s := server(t)
	web := Network{Name: "web", Listen: addrs("10.0.0.1", "fd00::1")}
	inner := Network{Name: "inner", Internal: true, Listen: addrs("10.1.0.1"), Servers: []string{"1.1.1.1", "8.8.8.8"}}
	_ = s.Add(t.Context(), "c1", []Entry{
		{Network: web, Addrs: addrs("10.0.0.2", "fd00::2"), Names: []string{"one", "alias"}},
		{Network: inner, Addrs: addrs("10.1.0.2"), Names: []string{"one"}, Servers: []string{"9.9.9.9"}},
	})
	_ = s.Add(t.Context(), "c2", []Entry{{Network: web, Addrs: addrs("10.0.0.3"), Names: []string{"two"}}})
	// Anew: the old line goes.
	_ = s.Add(t.Context(), "c1", []Entry{{Network: web, Addrs: addrs("10.0.0.9"), Names: []string{"one"}}})
	got := files(t, s)
	if want := "10.0.0.1,fd00::1\nc2 10.0.0.3  two\nc1 10.0.0.9  one\n"; got["web"] != want {
		t.Errorf("web: %q, want %q", got["web"], want)
	}
	if want := "10.1.0.1 1.1.1.1,8.8.8.8\nc1 10.1.0.2  one 9.9.9.9\n"; got["inner%int"] != want {
		t.Errorf("inner: %q, want %q", got["inner%int"], want)
	}
	inner.Servers = nil
	_ = s.Update(t.Context(), inner)
	if want := "10.1.0.1\nc1 10.1.0.2  one 9.9.9.9\n"; files(t, s)["inner%int"] != want {
		t.Errorf("inner: %q, want %q", files(t, s)["inner%int"], want)
	}
	_ = s.Drop(t.Context(), "c1", "inner")
	if got := files(t, s); len(got) != 1 || !strings.Contains(got["web"], "c1 ") {
		t.Errorf("after c1 left inner: %q", got)
	}
	_ = s.Drop(t.Context(), "c1")
	if err := s.Drop(t.Context(), "c2"); err != nil {
		t.Errorf("the last name: %v", err)
	}
	if _, err := os.Stat(s.config()); err == nil || s.Wanted() {
		t.Error("the directory is left without names")
	}
	if err := s.Drop(t.Context(), "c2"); err != nil {
		t.Errorf("dropped twice: %v", err)
	}
}

// A pid in the file that is another program's is not the server's.
func TestRunningIsItself(t *testing.T) {
	s := server(t)
	if err := os.MkdirAll(s.config(), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "x", "1", "-5", "999999999"} {
		if err := os.WriteFile(filepath.Join(s.config(), pidFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.Running() {
			t.Errorf("pid %q is taken for the server", text)
		}
	}
}

func TestNoProgram(t *testing.T) {
	s := Server{Dir: t.TempDir()}
	if err := s.Add(t.Context(), "c", []Entry{{Network: Network{Name: "n"}}}); err != nil || s.Wanted() {
		t.Errorf("without a program: %v", err)
	}
}
