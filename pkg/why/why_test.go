package why

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// tree opens a directory as the root of a container that runs or not.
func tree(t *testing.T, root string, running bool, mounts ...Mount) *Tree {
	t.Helper()
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), root)
	t.Cleanup(func() { f.Close() })
	host := func(id uint32) int { return 100000 + int(id) }
	return &Tree{Root: f, Running: running, Mounts: mounts, Rootless: true, UserUID: 1000, UserGID: 1000, Maps: Maps{HostUID: host, HostGID: host}}
}

func me() *Subject { return &Subject{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())} }

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// TestWalk resolves paths inside of the root, whatever links there are.
func TestWalk(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, filepath.Join(outside, "secret"), "x", 0o644)
	root := t.TempDir()
	write(t, root+"/etc/motd", "x", 0o644)
	write(t, root+"/bin/script", "#!/bin/no-such-shell -e\n", 0o755)
	write(t, root+"/bin/shell", "text", 0o755)
	write(t, root+"/bin/good", "#! /bin/shell\n", 0o755)
	link(t, "../../../../etc/motd", root+"/a/b/relative")
	link(t, "/etc/motd", root+"/absolute")
	link(t, outside+"/secret", root+"/outside")
	link(t, "loop2", root+"/loop1")
	link(t, "loop1", root+"/loop2")
	link(t, "/etc", root+"/dir")
	for _, tt := range []struct {
		path string
		a    Access
		kind string // of the refusal, "" if allowed
		at   string // its component, or the last step
	}{
		{"/etc/motd", Read, "", "/etc/motd"},
		{"/etc//./motd", Read, "", "/etc/motd"},
		{"/../../etc/motd", Read, "", "/etc/motd"},
		{"/a/b/relative", Read, "", "/etc/motd"},
		{"/absolute", Read, "", "/etc/motd"},
		{"/dir/motd", Read, "", "/etc/motd"},
		{"/dir/../etc/motd", Read, "", "/etc/motd"},
		{"/outside", Read, "missing", "/" + strings.Split(outside, "/")[1]},
		{"/loop1", Read, "loop", "/loop1"},
		{"/etc/motd/x", Read, "not-a-directory", "/etc/motd"},
		{"/etc/motd/.", Read, "not-a-directory", "/etc/motd"},
		{"/etc/none", Read, "missing", "/etc/none"},
		{"/etc/none/x", Write, "missing", "/etc/none"},
		{"/etc/none", Write, "", "/etc/none"},
		{"/etc", Read | Write | Exec, "", "/etc"},
		{"/", Read, "", "/"},
		{"/bin/script", Read, "", "/bin/script"},
		{"/bin/script", Exec, "interpreter", "/bin/no-such-shell"},
		{"/bin/good", Exec, "", "/bin/shell"},
		{"/etc/motd", Exec, "mode", "/etc/motd"},
	} {
		answer, err := Explain(tree(t, root, true), tt.path, me(), tt.a)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		kind, at := "", answer.Steps[len(answer.Steps)-1].Path
		if answer.Refused != nil {
			kind, at = answer.Refused.Kind, answer.Refused.Component
		}
		if kind != tt.kind || at != tt.at {
			t.Errorf("%s (%v): %q at %s, want %q at %s", tt.path, tt.a.Names(), kind, at, tt.kind, tt.at)
		}
	}
	// What the link to the host means there is proposed as a mount.
	answer, err := Explain(tree(t, root, true), "/outside", me(), Read)
	if err != nil || len(answer.Remedies) != 1 || answer.Remedies[0].Add != "-v "+outside+"/secret:"+outside+"/secret" {
		t.Errorf("remedies of a link to the outside: %+v, %v", answer.Remedies, err)
	}
}

// TestResting looks up mounts of a container that does not run.
func TestResting(t *testing.T) {
	t.Parallel()
	root, data := t.TempDir(), t.TempDir()
	write(t, data+"/sub/file", "x", 0o644)
	write(t, root+"/data/hidden", "x", 0o644)
	link(t, "../etc", data+"/up")
	write(t, root+"/etc/motd", "x", 0o644)
	if err := os.Mkdir(root+"/proc", 0o755); err != nil {
		t.Fatal(err)
	}
	mounts := []Mount{
		{Type: "bind", Source: data, Destination: "/data", Dir: data, ReadOnly: true, Options: []string{"ro"}},
		{Type: "tmpfs", Destination: "/tmp"},
	}
	for _, tt := range []struct {
		path string
		a    Access
		kind string
	}{
		{"/data/sub/file", Read, ""},
		{"/data/sub/file", Write, "read-only"},
		{"/data/hidden", Read, "missing"},
		{"/data/up/motd", Read, ""},
		{"/data/../etc/motd", Write, ""},
		{"/tmp/x", Read, "stopped"},
		{"/proc/1", Read, "stopped"},
	} {
		answer, err := Explain(tree(t, root, false, mounts...), tt.path, me(), tt.a)
		if err != nil {
			t.Fatal(err)
		}
		kind := ""
		if answer.Refused != nil {
			kind = answer.Refused.Kind
		}
		if kind != tt.kind {
			t.Errorf("%s %v: %q, want %q (%+v)", tt.path, tt.a.Names(), kind, tt.kind, answer.Refused)
		}
		if tt.kind == "read-only" && (len(answer.Remedies) == 0 || answer.Remedies[0].Add != "-v "+data+":/data") {
			t.Errorf("remedies of a read-only mount: %+v", answer.Remedies)
		}
	}
}

// steps of /data/dir/file in a bind, with the last two set by the test.
func sample(mode, fileMode uint32, uid, gid uint32) []Step {
	return []Step{
		{Path: "/", Kind: Directory, Mode: 0o755, Mount: -1, Where: rootFS, Parent: -1},
		{Path: "/data", Kind: Directory, Mode: 0o755, Mount: 0, Where: "bind /src", Parent: 0},
		{Path: "/data/dir", Kind: Directory, Mode: mode, UID: uid, GID: gid, Mount: 0, Where: "bind /src", Parent: 1},
		{Path: "/data/dir/file", Kind: File, Mode: fileMode, UID: uid, GID: gid, Mount: 0, Where: "bind /src", Parent: 2, Final: true},
	}
}

// TestRemedies: the kernel's refusal, and the flag that is proposed first.
func TestRemedies(t *testing.T) {
	t.Parallel()
	bind := Mount{Type: "bind", Source: "/src", Destination: "/data", Dir: "/src"}
	readOnly := Mount{Type: "bind", Source: "/src", Destination: "/data", Dir: "/src", Options: []string{"ro"}, ReadOnly: true}
	user := &Subject{UID: 1000, GID: 1000}
	for name, tt := range map[string]struct {
		steps   []Step
		change  func([]Step)
		mount   Mount
		tree    Tree
		subject *Subject
		a       Access
		kind    string
		at      string
		first   string
		all     int // number of remedies, -1: any
	}{
		"a directory of the user": {steps: sample(0o700, 0o644, 0, 0), subject: user, a: Read, kind: "mode", at: "/data/dir", first: "--userns keep-id:uid=1000,gid=1000", all: 4},
		"of a user with the same id": {
			steps: sample(0o700, 0o644, 0, 0), subject: user, a: Read, kind: "mode", at: "/data/dir", first: "--userns keep-id",
			tree: Tree{UserUID: 1000, UserGID: 1000}, all: 4,
		},
		"allowed by others":           {steps: sample(0o755, 0o644, 0, 0), subject: user, a: Read},
		"a file, to write":            {steps: sample(0o755, 0o644, 0, 0), subject: user, a: Write, kind: "mode", at: "/data/dir/file", first: "--userns keep-id:uid=1000,gid=1000", all: 4},
		"by a group that is mapped":   {steps: sample(0o750, 0o640, 5, 2000), subject: user, a: Read, kind: "mode", at: "/data/dir", first: "--group-add 2000", all: 4},
		"the owner has less than all": {steps: sample(0o755, 0o044, 1000, 7), subject: user, a: Read, kind: "mode", at: "/data/dir/file", all: -1, first: "--cap-add DAC_OVERRIDE"},
		"the group has less than all": {steps: sample(0o705, 0o604, 7, 1000), subject: user, a: Read, kind: "mode", at: "/data/dir", all: -1, first: "-v /src:/data:U"},
		"read-only":                   {steps: sample(0o755, 0o666, 0, 0), change: func(s []Step) { s[3].ReadOnly = true }, mount: readOnly, subject: user, a: Write, kind: "read-only", at: "/data/dir/file", first: "-v /src:/data", all: 1},
		"read-only and of another":    {steps: sample(0o755, 0o644, 0, 0), change: func(s []Step) { s[3].ReadOnly = true }, mount: readOnly, subject: user, a: Write, kind: "read-only", at: "/data/dir/file", first: "-v /src:/data --userns keep-id:uid=1000,gid=1000", all: 1},
		"read-only root": {steps: sample(0o755, 0o666, 0, 0)[:3], change: func(s []Step) {
			s[1].Mount, s[2].Mount = -1, -1
			s[2].Mode, s[2].ReadOnly, s[2].Where = 0o777, true, rootFS
		}, tree: Tree{ReadOnly: true}, subject: user, a: Write, kind: "read-only", at: "/data/dir", first: "without --read-only", all: 1},
		"noexec of the mount": {steps: sample(0o755, 0o755, 0, 0), change: func(s []Step) { s[3].NoExec = true }, mount: Mount{Type: "bind", Source: "/src", Destination: "/data", Options: []string{"noexec"}}, subject: user, a: Exec, kind: "noexec", at: "/data/dir/file", first: "-v /src:/data:exec", all: 1},
		"noexec of the host":  {steps: sample(0o755, 0o755, 0, 0), change: func(s []Step) { s[3].NoExec = true }, subject: user, a: Exec, kind: "noexec", at: "/data/dir/file"},
		"unmapped owner, by our group": {steps: sample(0o770, 0o660, 9, 9), change: func(s []Step) {
			for _, i := range []int{2, 3} {
				s[i].NoUID, s[i].NoGID, s[i].Self = true, true, 7
			}
		}, subject: user, a: Read, kind: "mode", at: "/data/dir", first: "--group-add keep-groups", all: 1},
		"unmapped owner, closed to us": {steps: sample(0o770, 0o660, 9, 9), change: func(s []Step) {
			for _, i := range []int{2, 3} {
				s[i].NoUID, s[i].NoGID = true, true
			}
		}, subject: &Subject{Override: true}, a: Read, kind: "mode", at: "/data/dir"},
		"root without capabilities":    {steps: sample(0o700, 0o600, 7, 7), subject: &Subject{}, a: Read, kind: "mode", at: "/data/dir", first: "-v /src:/data:U", all: -1},
		"root with capabilities":       {steps: sample(0o700, 0o600, 7, 7), subject: &Subject{Override: true}, a: Read | Write},
		"no bit to execute by":         {steps: sample(0o755, 0o644, 7, 7), subject: &Subject{Override: true}, a: Exec, kind: "mode", at: "/data/dir/file"},
		"CAP_DAC_READ_SEARCH":          {steps: sample(0o700, 0o600, 7, 7), subject: &Subject{UID: 5, Search: true}, a: Read},
		"immutable":                    {steps: sample(0o755, 0o666, 0, 0), change: func(s []Step) { s[3].Immutable = true }, subject: user, a: Write, kind: "immutable", at: "/data/dir/file"},
		"append only":                  {steps: sample(0o755, 0o666, 0, 0), change: func(s []Step) { s[3].Append = true }, subject: user, a: Write, kind: "immutable", at: "/data/dir/file"},
		"a label of the host":          {steps: sample(0o755, 0o666, 0, 0), change: func(s []Step) { s[2].Label = "unconfined_u:object_r:user_home_t:s0"; s[3].Label = s[2].Label }, subject: &Subject{UID: 1000, GID: 1000, Label: "system_u:system_r:container_t:s0:c1,c2"}, a: Read, kind: "label", at: "/data/dir", first: "-v /src:/data:z", all: 1},
		"a device on nodev":            {steps: sample(0o755, 0o666, 0, 0), change: func(s []Step) { s[3].Kind, s[3].NoDev = Device, true }, subject: user, a: Read, kind: "nodev", at: "/data/dir/file"},
		"a link in a sticky directory": {steps: sample(0o1777, 0o777, 7, 7), change: func(s []Step) { s[3].Kind, s[3].UID, s[3].Final = Link, 8, false }, subject: user, a: Read, kind: "sticky", at: "/data/dir/file", all: -1, first: "-v /src:/data:U"},
		"the user's ACL": {steps: sample(0o750, 0o640, 7, 7), change: func(s []Step) {
			s[2].ACL = []ACLEntry{{aclUserObj, 7, 0}, {aclUser, 5, 1000}, {aclGroupObj, 5, 0}, {aclMask, 5, 0}, {aclOther, 0, 0}}
			s[3].ACL = []ACLEntry{{aclUserObj, 6, 0}, {aclUser, 4, 1000}, {aclGroupObj, 4, 0}, {aclMask, 4, 0}, {aclOther, 0, 0}}
		}, subject: user, a: Read},
		"an ACL with a mask": {steps: sample(0o700, 0o644, 7, 7), change: func(s []Step) {
			s[2].Mode = 0o740
			s[2].ACL = []ACLEntry{{aclUserObj, 7, 0}, {aclUser, 7, 1000}, {aclGroupObj, 0, 0}, {aclMask, 4, 0}, {aclOther, 0, 0}}
		}, subject: user, a: Read, kind: "acl", at: "/data/dir", all: -1, first: "-v /src:/data:U"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.change != nil {
				tt.change(tt.steps)
			}
			tt.tree.Rootless = true
			tt.tree.Mounts = []Mount{bind}
			if tt.mount.Type != "" {
				tt.tree.Mounts[0] = tt.mount
			}
			r := judge(tt.steps, 0, tt.subject, tt.a)
			if tt.kind == "" {
				if r != nil {
					t.Errorf("refused: %+v", r)
				}
				return
			}
			if r == nil {
				t.Fatal("allowed")
			}
			if r.Kind != tt.kind || r.Component != tt.at {
				t.Errorf("refusal %+v, want %s at %s", r, tt.kind, tt.at)
			}
			remedies := tt.tree.mend(tt.steps, tt.subject, tt.a, r)
			first := ""
			if len(remedies) > 0 {
				if first = remedies[0].Add; first == "" {
					first = "without " + remedies[0].Remove
				}
			}
			if first != tt.first || tt.all >= 0 && len(remedies) != tt.all {
				t.Errorf("remedies %+v, want %d, first %q (%s)", remedies, tt.all, tt.first, r.Reason)
			}
		})
	}
}

func TestKept(t *testing.T) {
	t.Parallel()
	// The maps that keep-id:uid=3 makes of five ids: outer 1 2 3 are 0 1 2, 0 is 3, 4 is 4.
	maps := []rspec.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 3}, {ContainerID: 3, HostID: 0, Size: 1}, {ContainerID: 4, HostID: 4, Size: 1}}
	for id := range uint32(5) {
		want, ok := inside(maps, id)
		if got := kept(3, id); got != want || !ok {
			t.Errorf("kept(3, %d) = %d, want %d", id, got, want)
		}
	}
	if _, ok := inside(maps, 9); ok {
		t.Error("9 is mapped")
	}
}

func FuzzACL(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseACL(b)
		if err == nil && len(entries) != (len(b)-4)/8 {
			t.Errorf("%d entries of %d bytes", len(entries), len(b))
		}
		checkACL(&Step{ACL: entries}, &Subject{}, Read)
	})
}

func FuzzInterpreter(f *testing.F) {
	for _, file := range []string{"/bin/true", "/bin/sh"} {
		if b, err := os.ReadFile(file); err == nil {
			f.Add(b[:min(len(b), 8192)])
		}
	}
	f.Add([]byte("#!/bin/sh -e\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if name := interpreterOf(strings.NewReader(string(b))); name != "" && !strings.HasPrefix(name, "/") {
			t.Errorf("interpreter %q", name)
		}
	})
}

func TestDynamicLinker(t *testing.T) {
	t.Parallel()
	self, err := os.Open("/bin/sh")
	if err != nil {
		t.Skip("no /bin/sh")
	}
	defer self.Close()
	if name := interpreterOf(self); runtime.GOARCH == "amd64" && !strings.Contains(name, "ld-") {
		t.Errorf("the interpreter of /bin/sh is %q", name)
	}
}

// TestAgainstKernel makes files with random owners, modes and ACLs and opens them
// as random users: the kernel must agree with judge.
func TestAgainstKernel(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become other users")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(root); dir != "/"; dir = filepath.Dir(dir) { // others must get here
		if st, err := os.Stat(dir); err == nil && st.Mode()&0o011 != 0o011 {
			if err := os.Chmod(dir, st.Mode()|0o011); err != nil {
				t.Skip(err)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	ids := []uint32{0, 11, 12, 13}
	pick := func() uint32 { return ids[r.IntN(len(ids))] }
	withACL := 0
	for i := range 1500 {
		name := fmt.Sprintf("f%d", i)
		dirPath, filePath := filepath.Join(root, name), filepath.Join(root, name, "file")
		write(t, filePath, "x", 0o600)
		for _, path := range []string{dirPath, filePath} {
			if err := os.Chown(path, int(pick()), int(pick())); err != nil {
				t.Fatal(err)
			}
			if err := unix.Chmod(path, uint32(r.IntN(0o1000))); err != nil {
				t.Fatal(err)
			}
			if r.IntN(2) == 0 && unix.Setxattr(path, "system.posix_acl_access", randomACL(r, ids), 0) == nil {
				withACL++
			}
		}
		s := &Subject{UID: pick(), GID: pick(), Groups: []uint32{pick()}}
		a := Access(1 + r.IntN(7))
		steps, err := tree(t, root, true).walk("/"+name+"/file", a)
		if err != nil {
			t.Fatal(err)
		}
		s.Override, s.Search = s.UID == 0, s.UID == 0
		refused := judge(steps, 0, s, a)
		kernel := accessAs(s, filePath, a)
		if kernel != nil && !errors.Is(kernel, fs.ErrPermission) {
			t.Fatal(kernel)
		}
		if (refused == nil) != (kernel == nil) {
			t.Errorf("%d:%d %v wants %v: judge %+v, kernel %v\n%+v", s.UID, s.GID, s.Groups, a.Names(), refused, kernel, steps)
		}
	}
	t.Logf("%d ACLs", withACL)
}

func randomACL(r *rand.Rand, ids []uint32) []byte {
	perm := func() uint16 { return uint16(r.IntN(8)) }
	list := []ACLEntry{{aclUserObj, perm(), ^uint32(0)}}
	users, groups := slices.Clone(ids), slices.Clone(ids)
	for _, id := range users[:r.IntN(3)] {
		list = append(list, ACLEntry{aclUser, perm(), id})
	}
	list = append(list, ACLEntry{aclGroupObj, perm(), ^uint32(0)})
	for _, id := range groups[:r.IntN(3)] {
		list = append(list, ACLEntry{aclGroup, perm(), id})
	}
	list = append(list, ACLEntry{aclMask, perm(), ^uint32(0)}, ACLEntry{aclOther, perm(), ^uint32(0)})
	b := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range list {
		b = binary.LittleEndian.AppendUint16(b, e.Tag)
		b = binary.LittleEndian.AppendUint16(b, e.Perm)
		b = binary.LittleEndian.AppendUint32(b, e.ID)
	}
	return b
}

// accessAs asks the kernel on a thread that is another user's and ends after it.
func accessAs(s *Subject, path string, a Access) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends
		done <- func() error {
			groups := append([]uint32{}, s.Groups...)
			if err := rawSetgroups(groups); err != nil {
				return err
			}
			if err := unix.Setfsgid(int(s.GID)); err != nil {
				return err
			}
			if err := unix.Setfsuid(int(s.UID)); err != nil { // takes the capabilities of files along
				return err
			}
			return unix.Faccessat2(unix.AT_FDCWD, path, uint32(a), unix.AT_EACCESS)
		}()
	}()
	return <-done
}
