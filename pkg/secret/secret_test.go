package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/common/pkg/config"
)

func open(t *testing.T) (*Store, string) {
	t.Helper()
	root := t.TempDir()
	s, err := Open(root, config.SecretConfig{Driver: "file"})
	if err != nil {
		t.Fatal(err)
	}
	return s, root
}

func TestStore(t *testing.T) {
	s, root := open(t)
	first, err := s.Create("key", []byte("open sesame"), Options{Labels: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := s.Data(first[:10]); err != nil || string(data) != "open sesame" {
		t.Errorf("got %q, %v", data, err)
	}
	if info, err := os.Stat(filepath.Join(root, "secrets", "filedriver", "secretsdata.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the file: %v %v", info, err)
	}
	if _, err := s.Create("key", []byte("x"), Options{}); err == nil || !strings.Contains(err.Error(), "key: secret name in use: use --replace") {
		t.Errorf("a second one: %v", err)
	}
	if id, err := s.Create("key", []byte("x"), Options{Ignore: true}); err != nil || id != first {
		t.Errorf("ignored: %s, %v", id, err)
	}
	second, err := s.Create("key", []byte("x"), Options{Replace: true})
	if err != nil || second == first {
		t.Errorf("replaced: %s, %v", second, err)
	}
	if _, err := s.Create("other", []byte("y"), Options{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		filters []string
		want    int
	}{{nil, 2}, {[]string{"name=^k"}, 1}, {[]string{"name=key", "name=other"}, 2}, {[]string{"name=key", "id=zz"}, 0}, {[]string{"id=" + second[:8]}, 1}} {
		if got, err := s.List(test.filters); err != nil || len(got) != test.want {
			t.Errorf("%v: %v, %v", test.filters, got, err)
		}
	}
	if _, err := s.List([]string{"label=a"}); err == nil {
		t.Error("a filter that is none was taken")
	}
	if id, err := s.Remove("key"); err != nil || id != second {
		t.Errorf("removed %s, %v", id, err)
	}
	if _, err := s.Lookup("key"); !IsAbsent(err) {
		t.Errorf("after its removal: %v", err)
	}
}

func TestRefused(t *testing.T) {
	s, _ := open(t)
	for _, test := range []struct {
		name, driver, data, want string
	}{
		{"a/b", "", "x", "invalid secret name"},
		{"a=b", "", "x", "invalid secret name"},
		{"a,b", "", "x", "invalid secret name"},
		{"", "", "x", "invalid secret name"},
		{strings.Repeat("n", 254), "", "x", "invalid secret name"},
		{"a", "vault", "x", "invalid driver: it is file, pass or shell"},
		{"a", "", "", "larger than 0 and less than 512000 bytes"},
		{"a", "", strings.Repeat("x", MaxSize), "larger than 0 and less than 512000 bytes"},
		{"a", "shell", "x", "missing config value"},
	} {
		if _, err := s.Create(test.name, []byte(test.data), Options{Driver: test.driver}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q %q: %v, want %q", test.name, test.driver, err, test.want)
		}
	}
	if all, err := s.List(nil); err != nil || len(all) != 0 {
		t.Errorf("something was kept: %v, %v", all, err)
	}
	if data, err := Read(strings.NewReader(strings.Repeat("x", 2*MaxSize))); err != nil || len(data) != MaxSize {
		t.Errorf("read %d bytes, %v", len(data), err)
	}
}
