package rootless

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/rootless-pod/pod/internal/process"
)

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParseSubIDs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []idRange
	}{
		{"by name", "bob:5:6\nalice:100000:65536\n", []idRange{{100000, 65536}}},
		{"by uid", "1000:200000:10\n", []idRange{{200000, 10}}},
		{"both, in order", "alice:1:2\n1000:7:8\n", []idRange{{1, 2}, {7, 8}}},
		{"no newline at the end", "alice:1:2", []idRange{{1, 2}}},
		{"other names", "alicex:1:2\nxalice:1:2\n10000:1:2\n", nil},
		{"empty count", "alice:1:0\n", nil},
		{"negative", "alice:-1:5\n", nil},
		{"too large", "alice:4294967295:2\nalice:99999999999:1\n", nil},
		{"not numbers", "alice:a:b\nalice:1\n:1:2\n\n", nil},
		{"four fields", "alice:1:2:3\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := parseSubIDs([]byte(tt.text), "alice", 1000); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzParseSubIDs(f *testing.F) {
	f.Add([]byte("alice:100000:65536\n1000:1:2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range usable(parseSubIDs(b, "alice", 1000), 1000) {
			if r.start < 0 || r.count <= 0 || r.start+r.count > maxID || r.start <= 1000 && 1000 < r.start+r.count {
				t.Errorf("range %+v", r)
			}
		}
	})
}

func TestUsable(t *testing.T) {
	t.Parallel()
	got := usable([]idRange{{100, 10}, {105, 10}, {100, 10}, {995, 10}, {110, 5}}, 1000)
	if want := []idRange{{100, 10}, {110, 5}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	many := make([]idRange, 1000)
	for i := range many {
		many[i] = idRange{100000 + 2*i, 1}
	}
	if got := len(usable(many, 1000)); got != 339 {
		t.Errorf("%d ranges kept, the kernel takes 340 lines with the own id", got)
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"no line", "passwd: files\n", "files"},
		{"files", "subid: files\n", "files"},
		{"sss", "passwd: files\nsubid:   sss # by IPA\n", "sss"},
		{"comment", "# subid: sss\n", "files"},
		{"empty", "subid:\n", "files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := (subIDs{nsswitch: write(t, "nsswitch.conf", tt.text, 0o600)}).source(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := (subIDs{nsswitch: "/does/not/exist"}).source(); got != "files" {
		t.Errorf("without the file: %q", got)
	}
}

func TestRangesFromNSS(t *testing.T) {
	t.Parallel()
	tool := write(t, "getsubids", "#!/bin/sh\n[ $1 = -g ] && { echo '0: u 7000 10'; exit; }\necho '0: u 5000 10'\necho '1: u 6000 20'\n", 0o700)
	s := subIDs{nsswitch: write(t, "nsswitch.conf", "subid: sss\n", 0o600), getsubids: tool}
	uids, gids, err := s.ranges(t.Context(), 54321, 54321)
	if err != nil || !reflect.DeepEqual(uids, []idRange{{5000, 10}, {6000, 20}}) || !reflect.DeepEqual(gids, []idRange{{7000, 10}}) {
		t.Errorf("got %v %v %v", uids, gids, err)
	}
	s.getsubids = write(t, "getsubids", "#!/bin/sh\necho 'Error fetching ranges' >&2; exit 1\n", 0o700)
	if uids, _, err := s.ranges(t.Context(), 54321, 54321); err != nil || uids != nil {
		t.Errorf("a user without ranges: %v, %v", uids, err)
	}
	s.getsubids = "/does/not/exist"
	if _, _, err := s.ranges(t.Context(), 54321, 54321); err == nil || !strings.Contains(err.Error(), "sss") {
		t.Errorf("error %v does not name the source", err)
	}
}

func TestFreeRange(t *testing.T) {
	t.Parallel()
	s := subIDs{subuid: write(t, "subuid", "a:100000:65536\nb:300000:65536\n", 0o600), subgid: "/does/not/exist"}
	if got := s.freeRange(); got != "365536-431071" {
		t.Errorf("got %s: it must lie behind every range given out", got)
	}
	s.subuid = "/does/not/exist"
	if got := s.freeRange(); got != "100000-165535" {
		t.Errorf("got %s", got)
	}
}

func TestParseMap(t *testing.T) {
	t.Parallel()
	got, err := parseMap([]byte("         0       1000          1\n         1     100000      65536\n"))
	if want := []Mapping{{0, 1000, 1}, {1, 100000, 65536}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := parseMap([]byte("0 0 4294967295\n")); err != nil || total(got) != 4294967295 {
		t.Errorf("initial map: %v, %v", got, err)
	}
	for _, bad := range []string{"0 1\n", "a b c\n", "0 -1 1\n", "0 0 4294967296\n"} {
		if _, err := parseMap([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestStack(t *testing.T) {
	t.Parallel()
	maps := stack(1000, []idRange{{100000, 10}, {5000, 20}})
	want := []Mapping{{0, 1000, 1}, {1, 100000, 10}, {11, 5000, 20}}
	if !reflect.DeepEqual(maps, want) {
		t.Errorf("got %v, want %v", maps, want)
	}
	if got := mapText(maps); got != "0 1000 1\n1 100000 10\n11 5000 20\n" {
		t.Errorf("text %q", got)
	}
	if got := strings.Join(mapArgs(maps), " "); got != "0 1000 1 1 100000 10 11 5000 20" {
		t.Errorf("arguments %q", got)
	}
}

// selfIdentity describes the test itself as if it were a pause process.
func selfIdentity(t *testing.T) *identity {
	t.Helper()
	id := &identity{Kind: kindUser, Reduced: []string{"one", "two"}}
	if err := id.observe(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestIdentityFile(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	if err := makePodDir(base); err != nil {
		t.Fatal(err)
	}
	if _, err := readIdentity(base); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	id := selfIdentity(t)
	id.Hybrid = true
	if err := id.write(base); err != nil {
		t.Fatal(err)
	}
	got, err := readIdentity(base)
	if err != nil || !reflect.DeepEqual(got, id) {
		t.Errorf("read %+v, %v; wrote %+v", got, err, id)
	}
	id.Reduced = []string{"forged\npid=1"}
	if got, err := parseIdentity(id.text()); err != nil || got.Process != id.Process {
		t.Errorf("a line break in free text changed the identity: %+v, %v", got, err)
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add([]byte(identityHeader + "\nkind=user\npid=1\nstart=2\nboot=x\nuser=3\nmnt=4\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := parseIdentity(b); err == nil && (id.Process.PID <= 0 || id.User == 0) {
			t.Errorf("accepted %+v", id)
		}
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	if err := selfIdentity(t).verify(kindUser); err != nil {
		t.Fatalf("the true identity is refused: %v", err)
	}
	tests := []struct {
		name  string
		spoil func(*identity)
	}{
		{"recycled pid", func(id *identity) { id.Process.Start++ }},
		{"no such process", func(id *identity) { id.Process.PID = 1 << 22 }},
		{"another user's or another process", func(id *identity) { id.Process = process.ID{PID: 1, Start: id.Process.Start} }},
		{"earlier boot", func(id *identity) { id.Boot = strings.Repeat("0", 36) }},
		{"other user namespace", func(id *identity) { id.User++ }},
		{"other mount namespace", func(id *identity) { id.Mount++ }},
		{"other kind", func(id *identity) { id.Kind = kindMount }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id := selfIdentity(t)
			tt.spoil(id)
			if err := id.verify(kindUser); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestPrivateDir(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "run")
	if got, err := privateDir(dir); err != nil || got != dir {
		t.Fatalf("privateDir = %q, %v", got, err)
	}
	if _, err := privateDir(dir); err != nil {
		t.Errorf("the second time: %v", err)
	}
	link := filepath.Join(base, "link")
	open := filepath.Join(base, "open")
	file := write(t, "file", "", 0o600)
	if err := errors.Join(os.Symlink(dir, link), os.Mkdir(open, 0o700), os.Chmod(open, 0o770)); err != nil {
		t.Fatal(err)
	}
	for path, reason := range map[string]string{link: "symbolic link", open: "open to others", file: "not a directory"} {
		if _, err := privateDir(path); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %q", path, err, reason)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		err     pauseError
		sysctls map[string]string
		want    string
	}{
		{"Debian's switch", pauseError{"unshare", syscall.EPERM}, map[string]string{"kernel/unprivileged_userns_clone": "0"}, "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"none allowed", pauseError{"unshare", syscall.ENOSPC}, map[string]string{"user/max_user_namespaces": "0"}, "user.max_user_namespaces=0"},
		{"used up", pauseError{"unshare", syscall.ENOSPC}, map[string]string{"user/max_user_namespaces": "5"}, "user.max_user_namespaces=5"},
		{"AppArmor at the first mount", pauseError{"mount", syscall.EACCES}, map[string]string{"kernel/apparmor_restrict_unprivileged_userns": "1"}, "AppArmor"},
		{"in a container", pauseError{"unshare", syscall.EPERM}, nil, "--security-opt seccomp=unconfined"},
		{"no such kernel feature", pauseError{"unshare", syscall.EINVAL}, nil, "CONFIG_USER_NS"},
		{"nesting", pauseError{"unshare", syscall.EUSERS}, nil, "nested"},
		{"anything else", pauseError{"chdir", syscall.EIO}, nil, "chdir: input/output error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := explainWith(tt.err, func(name string) string { return tt.sysctls[name] }).Error()
			if !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("%q lacks %q", got, tt.want)
			}
		})
	}
}

func TestExecErrors(t *testing.T) {
	t.Parallel()
	plain := write(t, "plain", "text", 0o600)
	for name, code := range map[string]int{"no-such-command-here": 127, "/no/such/file": 127, plain: 126, "/": 126} {
		var e *ExecError
		if err := Exec([]string{name}, nil); !errors.As(err, &e) || e.Code != code || strings.Count(err.Error(), name) != 1 && name != "/" {
			t.Errorf("%s: %v, want code %d and the name once", name, err, code)
		}
	}
}
