package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/filecopy"
)

// The copier runs this program again, in a chroot.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	os.Exit(m.Run()) //nolint:forbidigo // a test's main
}

// copyWorld is a container's root, a directory of the host, and a secret beside
// both, which no copy may read or write.
type copyWorld struct {
	root, host, secret string
}

func newCopyWorld(t *testing.T) *copyWorld {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	dir := t.TempDir()
	w := &copyWorld{root: dir + "/root", host: dir + "/host", secret: dir + "/secret"}
	for _, d := range []string{w.root + "/tmp", w.root + "/etc", w.root + "/srv", w.host, w.secret} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, w.secret+"/key", "secret")
	return w
}

func (w *copyWorld) container(t *testing.T) *filecopy.Place {
	t.Helper()
	f, err := filecopy.OpenDir(w.root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &filecopy.Place{Name: "box", Root: f, Cwd: "/srv", User: func(string) (uid, gid uint32, err error) { return 0, 0, nil }}
}

// in copies host → container, out the other way.
func (w *copyWorld) in(t *testing.T, from, to string, change ...func(*job)) error {
	t.Helper()
	return w.copy(t, &filecopy.Place{}, w.container(t), w.host+"/"+from, to, change)
}

func (w *copyWorld) out(t *testing.T, from, to string, change ...func(*job)) error {
	t.Helper()
	return w.copy(t, w.container(t), &filecopy.Place{}, from, w.host+"/"+to, change)
}

func (w *copyWorld) copy(t *testing.T, from, to *filecopy.Place, src, dst string, change []func(*job)) error {
	t.Helper()
	j := &job{Options: filecopy.Options{From: filecopy.Path{Path: src}, To: filecopy.Path{Path: dst}, Archive: true}, from: side{from}, to: side{to}}
	for _, c := range change {
		c(j)
	}
	return j.run()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

// tree lists files with their content, directories with a slash.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		switch {
		case info.IsDir():
			name += "/"
		case info.Mode()&os.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			name += "->" + to
		case info.Mode().IsRegular():
			data, _ := os.ReadFile(path)
			name += "=" + string(data)
		}
		lines = append(lines, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, " ")
}

func TestCopyRules(t *testing.T) {
	overwrite := func(j *job) { j.Overwrite = true }
	tests := []struct {
		name, from, to string
		overwrite      bool
		want           string // of /tmp
		fails          string
	}{
		{name: "file into directory", from: "f", to: "/tmp", want: "dir/ dir/old=old file=file link->dir f=1"},
		{name: "file into directory with slash", from: "f", to: "/tmp/dir/", want: "dir/ dir/f=1 dir/old=old file=file link->dir"},
		{name: "file to a new name", from: "f", to: "/tmp/new", want: "dir/ dir/old=old file=file link->dir new=1"},
		{name: "file over a file", from: "f", to: "/tmp/file", want: "dir/ dir/old=old file=1 link->dir"},
		{name: "file through a link to a directory", from: "f", to: "/tmp/link", want: "dir/ dir/f=1 dir/old=old file=file link->dir"},
		{name: "file to a missing directory", from: "f", to: "/tmp/no/", fails: "does not exist"},
		{name: "file below a missing directory", from: "f", to: "/tmp/no/f", fails: `"/tmp/no/f" could not be found on container box`},
		{name: "file to a file with slash", from: "f", to: "/tmp/file/", fails: "not a directory"},
		{name: "file with slash", from: "f/", to: "/tmp", fails: "not a directory"},
		{name: "missing file", from: "no", to: "/tmp", fails: "could not be found on the host"},
		{name: "relative to the working directory", from: "f", to: "../tmp/dir", want: "dir/ dir/f=1 dir/old=old file=file link->dir"},
		{name: "directory to a new name", from: "d", to: "/tmp/new", want: "dir/ dir/old=old file=file link->dir new/ new/a=2 new/l->a new/s/ new/s/b=3"},
		{name: "directory to a new name with slash", from: "d", to: "/tmp/new/", want: "dir/ dir/old=old file=file link->dir new/ new/a=2 new/l->a new/s/ new/s/b=3"},
		{name: "directory into a directory", from: "d", to: "/tmp/dir", want: "dir/ dir/d/ dir/d/a=2 dir/d/l->a dir/d/s/ dir/d/s/b=3 dir/old=old file=file link->dir"},
		{name: "contents into a directory", from: "d/.", to: "/tmp/dir", want: "dir/ dir/a=2 dir/l->a dir/old=old dir/s/ dir/s/b=3 file=file link->dir"},
		{name: "directory over a file", from: "d", to: "/tmp/file", fails: "cannot copy a directory to a file"},
		{name: "directory over a file, wanted", from: "d", to: "/tmp/file", overwrite: true, want: "dir/ dir/old=old file/ file/a=2 file/l->a file/s/ file/s/b=3 link->dir"},
		{name: "file over a directory", from: "dir", to: "/tmp", fails: "cannot overwrite directory"},
		{name: "file over a directory, wanted", from: "dir", to: "/tmp", overwrite: true, want: "dir=4 file=file link->dir"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newCopyWorld(t)
			write(t, w.host+"/f", "1")
			write(t, w.host+"/dir", "4")
			write(t, w.host+"/d/a", "2")
			write(t, w.host+"/d/s/b", "3")
			link(t, "a", w.host+"/d/l")
			write(t, w.root+"/tmp/dir/old", "old")
			write(t, w.root+"/tmp/file", "file")
			link(t, "dir", w.root+"/tmp/link")
			before := tree(t, w.root)
			var change []func(*job)
			if tt.overwrite {
				change = append(change, overwrite)
			}
			err := w.in(t, tt.from, tt.to, change...)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want one line with %q", err, tt.fails)
				}
				if after := tree(t, w.root); after != before {
					t.Errorf("a copy that failed left %s", after)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := tree(t, w.root+"/tmp"); !sameWords(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func sameWords(a, b string) bool {
	count := map[string]int{}
	for f := range strings.FieldsSeq(a) {
		count[f]++
	}
	for f := range strings.FieldsSeq(b) {
		count[f]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestCopyOwnersAndModes(t *testing.T) {
	w := newCopyWorld(t)
	write(t, w.host+"/f", "1")
	if err := os.Chmod(w.host+"/f", 0o751|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	box := w.container(t)
	box.User = func(string) (uid, gid uint32, err error) { return 1000, 1001, nil }
	if err := w.copy(t, &filecopy.Place{}, box, w.host+"/f", "/tmp/given", nil); err != nil {
		t.Fatal(err)
	}
	if err := w.copy(t, &filecopy.Place{}, box, w.host+"/f", "/tmp/kept", []func(*job){func(j *job) { j.Archive = false }}); err != nil {
		t.Fatal(err)
	}
	if err := w.out(t, "/tmp/given", "back"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		path           string
		uid, gid, mode uint32
	}{{w.root + "/tmp/given", 1000, 1001, 0o4751}, {w.root + "/tmp/kept", 0, 0, 0o4751}, {w.host + "/back", 0, 0, 0o751}} {
		st, err := statOwner(want.path)
		if err != nil || st.Uid != want.uid || st.Gid != want.gid || st.Mode&0o7777 != want.mode {
			t.Errorf("%s: %d:%d %o (%v), want %d:%d %o", want.path, st.Uid, st.Gid, st.Mode&0o7777, err, want.uid, want.gid, want.mode)
		}
	}
}

func TestCopyIntoItself(t *testing.T) {
	w := newCopyWorld(t)
	write(t, w.root+"/tmp/d/f", "1")
	box := w.container(t)
	err := w.copy(t, box, box, "/tmp", "/tmp/d/copy", nil)
	if err == nil || !strings.Contains(err.Error(), "into itself") {
		t.Errorf("error %v, want that it is copied into itself", err)
	}
}

func TestCopyArchives(t *testing.T) {
	w := newCopyWorld(t)
	write(t, w.root+"/tmp/d/f", "1")
	var b bytes.Buffer
	box := w.container(t)
	stream := func(j *job) { j.Out, j.In = &b, &b }
	if err := w.copy(t, box, &filecopy.Place{}, "/tmp/d", "-", []func(*job){stream}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(b.Bytes())); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "d/ d/f" {
		t.Errorf("archive of %s", got)
	}
	if err := w.copy(t, &filecopy.Place{}, box, "-", "/srv", []func(*job){stream}); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, w.root+"/srv"); got != "d/ d/f=1" {
		t.Errorf("unpacked %s", got)
	}
}

// TestCopyHostileLinks: whatever a container's links say, a copy reads and
// writes below its root.
func TestCopyHostileLinks(t *testing.T) {
	for _, way := range []string{"absolute", "relative", "chain", "dotdot", "proc"} {
		t.Run(way, func(t *testing.T) {
			w := newCopyWorld(t)
			x := w.root + "/tmp/x"
			switch way {
			case "absolute":
				link(t, w.secret, x)
			case "relative":
				link(t, strings.Repeat("../", 30)+w.secret, x)
			case "chain":
				link(t, "/tmp/y", x)
				link(t, "../../../../../.."+w.secret, w.root+"/tmp/y")
			case "dotdot":
				link(t, "..", w.root+"/tmp/up")
				link(t, "up/../../.."+w.secret, x)
			case "proc":
				link(t, "/proc/self/cwd/../"+w.secret, x)
			}
			write(t, w.host+"/f", "evil")
			write(t, w.host+"/d/key", "evil")
			for _, to := range []string{"/tmp/x", "/tmp/x/key", "/tmp/x/"} {
				_ = w.in(t, "f", to)
				_ = w.in(t, "d/.", to)
			}
			if got := tree(t, w.secret); got != "key=secret" {
				t.Fatalf("a copy wrote outside of the root: %s", got)
			}
			for _, from := range []string{"/tmp/x", "/tmp/x/key", "/tmp/x/.", "/tmp"} {
				_ = w.out(t, from, "out")
			}
			if strings.Contains(tree(t, w.host), "=secret") {
				t.Fatalf("a copy read outside of the root: %s", tree(t, w.host))
			}
		})
	}
}

// TestCopyHostileArchive: entries through links stay below the directory.
func TestCopyHostileArchive(t *testing.T) {
	w := newCopyWorld(t)
	var b bytes.Buffer
	a := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "l", Typeflag: tar.TypeSymlink, Linkname: w.secret},
		{Name: "l/key", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "../../../.." + w.secret + "/key", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: w.secret + "/key"},
	} {
		if err := a.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	_ = w.copy(t, &filecopy.Place{}, w.container(t), "-", "/srv", []func(*job){func(j *job) { j.In = &b }})
	if got := tree(t, w.secret); got != "key=secret" {
		t.Fatalf("an archive wrote outside of the root: %s", got)
	}
}

func TestCopySpecialFiles(t *testing.T) {
	w := newCopyWorld(t)
	if err := unix.Mkfifo(w.root+"/tmp/fifo", 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, w.root+"/tmp/f", "1")
	if err := w.out(t, "/tmp/fifo", "o"); err == nil || !strings.Contains(err.Error(), "is a FIFO") {
		t.Errorf("a FIFO alone: %v", err)
	}
	if err := w.out(t, "/tmp", "tree"); err != nil {
		t.Errorf("a directory with a FIFO: %v", err)
	}
	link(t, "/dev/null", w.host+"/null")
	if err := w.out(t, "/tmp/f", "null"); err != nil {
		t.Errorf("to /dev/null: %v", err)
	}
	if st, err := statOwner("/dev/null"); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		t.Fatalf("/dev/null was replaced: %o %v", st.Mode, err)
	}
	write(t, w.host+"/f", "2")
	if err := w.in(t, "f", "/tmp/fifo"); err != nil {
		t.Errorf("over a FIFO of the container: %v", err)
	}
}

// TestCopyRace copies while the container swaps the directory on the way for a
// link to the outside, back and forth.
func TestCopyRace(t *testing.T) {
	w := newCopyWorld(t)
	write(t, w.root+"/tmp/x/key", "own")
	link(t, w.secret, w.root+"/tmp/evil")
	var stop atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !stop.Load() {
			_ = unix.Renameat2(unix.AT_FDCWD, w.root+"/tmp/x", unix.AT_FDCWD, w.root+"/tmp/evil", unix.RENAME_EXCHANGE)
		}
	}()
	write(t, w.host+"/key", "evil")
	write(t, w.host+"/d/key", "evil")
	done := 0
	for range 8 {
		for _, to := range []string{"/tmp/x/key", "/tmp/x"} {
			if w.in(t, "key", to) == nil {
				done++
			}
		}
		if w.in(t, "d/.", "/tmp/x") == nil {
			done++
		}
		_ = w.out(t, "/tmp/x/key", "o1")
		_ = w.out(t, "/tmp/x/.", "o2")
	}
	stop.Store(true)
	<-ended
	if got := tree(t, w.secret); got != "key=secret" {
		t.Fatalf("a copy wrote outside of the root: %s", got)
	}
	if strings.Contains(tree(t, w.host), "=secret") {
		t.Fatal("a copy read outside of the root")
	}
	if done == 0 {
		t.Error("no copy came through: nothing was tested")
	}
}

// TestOpenView: volumes of a container at rest are where it would see them, also
// behind its own links, and nowhere else.
func TestOpenView(t *testing.T) {
	w := newCopyWorld(t)
	write(t, w.host+"/vol/f", "volume")
	link(t, w.secret, w.root+"/hostile")
	f, leave, err := filecopy.OpenView(w.root, []filecopy.Bind{
		{Source: w.host + "/vol", Destination: "/data"},
		{Source: w.host + "/vol", Destination: "/ro", ReadOnly: true},
		{Source: w.host + "/vol", Destination: "/hostile/deep"},
	})
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skip("no mount namespaces here")
		}
		// The mount point behind the link to nowhere may be refused.
		if f, leave, err = filecopy.OpenView(w.root, []filecopy.Bind{{Source: w.host + "/vol", Destination: "/data"}, {Source: w.host + "/vol", Destination: "/ro", ReadOnly: true}}); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { f.Close(); _ = leave() }()
	box := &filecopy.Place{Name: "box", Root: f, Cwd: "/", User: func(string) (uid, gid uint32, err error) { return 0, 0, nil }}
	if err := w.copy(t, box, &filecopy.Place{}, "/data/f", w.host+"/got", nil); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(w.host + "/got"); string(data) != "volume" {
		t.Errorf("read %q from the volume", data)
	}
	if err := w.copy(t, &filecopy.Place{}, box, w.host+"/got", "/data/new", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(w.host + "/vol/new"); err != nil {
		t.Error("the file did not reach the volume")
	}
	if err := w.copy(t, &filecopy.Place{}, box, w.host+"/got", "/ro/new2", nil); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing into a read-only volume: %v", err)
	}
	if entries, _ := os.ReadDir(w.root + "/data"); len(entries) != 0 {
		t.Error("the mount is seen outside of its namespace")
	}
	if got := tree(t, w.secret); got != "key=secret" {
		t.Errorf("a mount point was made outside of the root: %s", got)
	}
}

func statOwner(path string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return st, err
}
