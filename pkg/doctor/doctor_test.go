package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/shellword"
	"github.com/rootless-pod/pod/pkg/rootless"
)

var update = flag.Bool("update", false, "write the golden results")

// fake is a kernel described by the lines of a test's "host" section:
//
//	uid 1000, user dev, env NAME VALUE, program PATH, now DATE, built DATE
//	stat PATH MODE UID      a file, beside those of the tree (mode in octal with its type)
//	fs PATH TYPE FREE-MB FREE-INODES [FLAG…]
//	caps PATH, noxattr, nonewprivs, unwritable PATH
//	open PATH ERRNO         a device that cannot be opened so
//	socket PATH             one that answers
//	trial IDS [REDUCED…] | trial error TEXT; hybrid
//	kept IDS PROCESSES
//	probe WHAT ERRNO|limited TEXT
//	says PATH TEXT          what a program prints
//	state TEXT, store TEXT  errors of these
type fake struct {
	root       string
	stats      map[string]Stat
	filesystem map[string]FS
	unwritable map[string]bool
	devices    map[string]error
	sockets    map[string]bool
	caps       map[string]bool
	says       map[string]string
	probes     map[string]error
	trial      rootless.Trial
	kept       [2]int
	noXattr    bool
	noNewPrivs bool
	state      error
	store      error
	now        time.Time
}

func (f *fake) Stat(path string) (Stat, error) {
	if st, found := f.stats[path]; found {
		return st, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(f.root, path), &st); err != nil {
		return Stat{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return Stat{Mode: st.Mode&unix.S_IFMT | 0o755, UID: 0, Size: st.Size}, nil
}

func (f *fake) Statfs(path string) (FS, error) {
	for dir := path; ; dir = filepath.Dir(dir) {
		if info, found := f.filesystem[dir]; found {
			return info, nil
		}
		if dir == "/" {
			return FS{Type: "ext4", Free: 100 << 30, Inodes: 1e6, FreeInodes: 9e5}, nil
		}
	}
}

func (f *fake) FileCaps(path string) bool { return f.caps[path] }
func (f *fake) UserXattr(string) error {
	if f.noXattr {
		return unix.EOPNOTSUPP
	}
	return nil
}

func (f *fake) Writable(dir string) error {
	if f.unwritable[dir] {
		return unix.EACCES
	}
	return nil
}
func (f *fake) Open(path string) error { return f.devices[path] }
func (f *fake) Connect(path string) error {
	if f.sockets[path] {
		return nil
	}
	return unix.ECONNREFUSED
}
func (f *fake) NoNewPrivs() bool                          { return f.noNewPrivs }
func (f *fake) Namespaces(context.Context) rootless.Trial { return f.trial }
func (f *fake) Kept() (ids, processes int)                { return f.kept[0], f.kept[1] }
func (f *fake) QuickCheck(context.Context, string) error  { return f.state }
func (f *fake) OpenStore(context.Context) error           { return f.store }
func (f *fake) Now() time.Time                            { return f.now }
func (f *fake) Reflinks(string) bool                      { return false }

func (f *fake) Probe(_ context.Context, what, _ string) error { return f.probes[what] }
func (f *fake) Ask(_ context.Context, program string, _ ...string) (string, error) {
	if text, found := f.says[program]; found {
		return text, nil
	}
	return "", errors.New("exit status 1")
}

func errnoOf(name string) error {
	for n := unix.Errno(1); n < 134; n++ {
		if unix.ErrnoName(n) == name {
			return n
		}
	}
	return errors.New(name)
}

// load makes the host of a test.
func load(t *testing.T, archive *txtar.Archive) *Host {
	t.Helper()
	f := &fake{
		root: t.TempDir(), stats: map[string]Stat{}, filesystem: map[string]FS{}, unwritable: map[string]bool{},
		devices: map[string]error{}, sockets: map[string]bool{}, caps: map[string]bool{}, says: map[string]string{},
		probes: map[string]error{}, trial: rootless.Trial{UIDs: 65537, GIDs: 65537}, now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
	}
	env := map[string]string{"PATH": "/usr/bin"}
	h := &Host{
		Root: f.root, UID: 1000, GID: 1000, User: "dev", Program: "/usr/local/bin/pod", GraphRoot: "/home/dev/store",
		RunBase: "/run/user/1000", Kernel: f, Env: func(name string) string { return env[name] }, HelperDirs: []string{"/usr/libexec/podman"},
	}
	for _, file := range archive.Files {
		if file.Name == "host" || file.Name == "want" || file.Name == "script" {
			continue
		}
		path := filepath.Join(f.root, file.Name)
		dir, isDir := strings.CutSuffix(file.Name, "/.")
		if !isDir {
			dir = filepath.Dir(file.Name)
		}
		if err := os.MkdirAll(filepath.Join(f.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if isDir {
			continue
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(section(archive, "host"))) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		configureFake(t, h, f, env, word, rest)
	}
	return h
}

func configureFake(t *testing.T, h *Host, f *fake, env map[string]string, word, rest string) {
	t.Helper()
	first, second, _ := strings.Cut(rest, " ")
	args := strings.Fields(rest)
	number := func(i, base int) int {
		n, err := strconv.ParseInt(args[i], base, 64)
		if err != nil {
			t.Fatalf("%s %s: %v", word, rest, err)
		}
		return int(n)
	}
	switch word {
	case "uid":
		h.UID = number(0, 10)
	case "user":
		h.User = rest
	case "inside":
		h.Inside = true
	case "env":
		env[first] = second
	case "runbase":
		h.RunBase = rest
	case "driver":
		h.Driver = rest
	case "runtime":
		h.Runtime = rest
	case "config":
		h.ConfigErr = errors.New(rest)
	case "now", "built":
		at, err := time.Parse(time.DateOnly, rest)
		if err != nil {
			t.Fatal(err)
		}
		if word == "now" {
			f.now = at
		} else {
			h.Built = at
		}
	case "stat":
		f.stats[first] = Stat{Mode: uint32(number(1, 8)), UID: number(2, 10), Size: 1 << 20}
	case "fs":
		f.filesystem[first] = FS{Type: args[1], Free: uint64(number(2, 10)) << 20, Inodes: 1e6, FreeInodes: uint64(number(3, 10)), Flags: args[4:]}
	case "caps":
		f.caps[first] = true
	case "noxattr":
		f.noXattr = true
	case "nonewprivs":
		f.noNewPrivs = true
	case "unwritable":
		f.unwritable[first] = true
	case "open":
		f.devices[first] = errnoOf(second)
	case "socket":
		f.sockets[first] = true
	case "hybrid":
		f.trial.Hybrid = true
	case "trial":
		if first == "error" {
			f.trial = rootless.Trial{Err: errors.New(second)}
			return
		}
		f.trial.UIDs, f.trial.GIDs = number(0, 10), number(0, 10)
		if second != "" {
			f.trial.Reduced = []string{second}
		}
	case "kept":
		f.kept = [2]int{number(0, 10), number(1, 10)}
	case "probe":
		f.probes[first] = errnoOf(second)
		if text, found := strings.CutPrefix(second, "limited "); found {
			f.probes[first] = &LimitedError{text}
		}
	case "says":
		f.says[first] = second
		f.stats[first] = Stat{Mode: unix.S_IFREG | 0o755}
	case "state":
		f.state = errors.New(rest)
	case "store":
		f.store = errors.New(rest)
	default:
		t.Fatalf("unknown line %s %s", word, rest)
	}
}

func section(archive *txtar.Archive, name string) []byte {
	for _, file := range archive.Files {
		if file.Name == name {
			return file.Data
		}
	}
	return nil
}

func setSection(archive *txtar.Archive, name string, data []byte) {
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			archive.Files[i].Data = data
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: data})
}

// TestGolden examines trees in testdata. The comment's first line may name the
// checks: "checks: a b".
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no trees: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			first, _, _ := strings.Cut(string(archive.Comment), "\n")
			if list, found := strings.CutPrefix(first, "checks: "); found {
				names = strings.Fields(list)
			}
			checks, err := Select(names)
			if err != nil {
				t.Fatal(err)
			}
			h := load(t, archive)
			results := Examine(t.Context(), h, checks)
			var got bytes.Buffer
			for _, r := range results {
				fmt.Fprintf(&got, "%s %s: %s\n", r.Status, r.Name, r.Found)
				for _, line := range []struct{ what, text string }{{"cause", r.Cause}, {"remedy", r.Remedy}} {
					if line.text != "" {
						fmt.Fprintf(&got, "  %s: %s\n", line.what, line.text)
					}
				}
				if (r.Status == Warn || r.Status == Fail) && (r.Cause == "" || r.Remedy == "") {
					t.Errorf("%s is %s without cause or remedy", r.Name, r.Status)
				}
			}
			script := Script(h.User, results)
			checkScript(t, script)
			if *update {
				setSection(archive, "want", got.Bytes())
				setSection(archive, "script", []byte(script))
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := string(section(archive, "want")); got.String() != want {
				t.Errorf("results:\n%s\nwant:\n%s", got.String(), want)
			}
			if want := string(section(archive, "script")); script != want {
				t.Errorf("script:\n%s\nwant:\n%s", script, want)
			}
		})
	}
}

// checkScript asks shellcheck, where there is one.
func checkScript(t *testing.T, script string) {
	t.Helper()
	path, err := exec.LookPath("shellcheck")
	if err != nil || script == "" {
		return
	}
	cmd := exec.CommandContext(t.Context(), path, "-s", "sh", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range Checks() {
		if seen[c.Name] || c.Name == "" || c.About == "" {
			t.Errorf("check %q: twice, or without a name or a description", c.Name)
		}
		seen[c.Name] = true
	}
	if _, err := Select([]string{"subids", "nonsense"}); err == nil || !strings.Contains(err.Error(), `"nonsense"`) {
		t.Errorf("Select of an unknown name: %v", err)
	}
	if got, err := Select([]string{"tun", "userns"}); err != nil || len(got) != 2 || got[0].Name != "userns" {
		t.Errorf("Select = %v, %v", got, err)
	}
}

// TestMentioned looks for names of checks that messages of pod give.
func TestMentioned(t *testing.T) {
	t.Parallel()
	mentions := map[string]bool{}
	for _, dir := range []string{"../../pkg", "../../cmd", "../../internal"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, part := range strings.Split(string(text), "pod doctor --check ")[1:] {
				name := part[:strings.IndexFunc(part, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') })]
				mentions[name] = true
				if !Exists(name) {
					t.Errorf("%s mentions the check %q, which does not exist", path, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"subids", "newuidmap", "tun", "delegation", "linger", "rundir", "overlay", "ports", "userns"} {
		if !mentions[name] {
			t.Errorf("no message mentions the check %q", name)
		}
	}
}

func TestHangingCheck(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hung := make(chan struct{})
	t.Cleanup(func() { close(hung) })
	got := Examine(ctx, &Host{}, []Check{{Name: "hangs", run: func(context.Context, *Host) Result {
		<-hung
		return Result{}
	}}})
	if got[0].Status != Warn || got[0].Name != "hangs" || got[0].Cause == "" {
		t.Errorf("a check that hangs: %+v", got[0])
	}
}

func TestMend(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "it's open")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	r := warn("open").asUser("chmod 700 " + shellword.Quote(dir))
	if err := Mend(t.Context(), r.Fix); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode is %v, %v", st.Mode(), err)
	}
	if err := Mend(t.Context(), &Fix{Commands: []string{"echo why >&2; exit 3"}}); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("Mend of a command that ends with 3: %v", err)
	}
	if err := Mend(t.Context(), &Fix{Root: true}); err == nil {
		t.Error("Mend ran what needs root")
	}
}

func TestResultJSON(t *testing.T) {
	t.Parallel()
	r := warn("x").because("y").asRoot("chmod u+s /usr/bin/newuidmap")
	r.Name = "newuidmap"
	data, err := json.Marshal(r)
	const want = `{"name":"newuidmap","status":"warn","found":"x","cause":"y","remedy":"as root: chmod u+s /usr/bin/newuidmap","fix":{"root":true,"commands":["chmod u+s /usr/bin/newuidmap"]}}`
	if err != nil || string(data) != want {
		t.Errorf("%s, %v", data, err)
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		v, than string
		want    bool
	}{{"2.0.25", "2.0.26", true}, {"2.0.26", "2.0.26", false}, {"2.1.12", "2.0.26", false}, {"2", "2.0.26", true}, {"10.0", "9.9", false}} {
		if got := older(tt.v, tt.than); got != tt.want {
			t.Errorf("older(%s, %s) = %v", tt.v, tt.than, got)
		}
	}
}
