package reason

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/build/plan"
	"github.com/rootless-pod/pod/pkg/build/progress"
)

// world is a context and a store.
type world struct {
	root, dir string
	file      string
	images    map[string]string
	args      map[string]string
	options   map[string]string
	noCache   bool
}

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// build acts a build in which the steps given as STAGE.STEP are not cached, and
// returns the reasons. One that is given with ! fails.
func (w *world) build(t *testing.T, uncached ...string) map[string]string {
	t.Helper()
	p, err := plan.Parse([][]byte{[]byte(w.file)}, &plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	teller := Watch(t.Context(), &Options{
		GraphRoot: w.root, Key: Key{Context: "c"}, Plan: p, Dir: w.dir, Excludes: []string{"ignored"}, NoCache: w.noCache,
		Args: w.args, Options: w.options, Image: func(name string) string { return w.images[name] },
	})
	why := map[string]string{}
stages:
	for _, s := range p.Stages {
		for _, step := range s.Steps {
			e := progress.Event{Kind: progress.Start, Stage: s.Stage, Step: step.Step, Instruction: step.Instruction}
			teller.Event(&e)
			at := fmt.Sprintf("%d.%d", s.Stage, step.Step)
			for _, u := range uncached {
				if strings.TrimPrefix(u, "!") == at {
					why[at] = teller.Why(&e)
				}
				if u == "!"+at {
					break stages
				}
			}
			e.Kind, e.ID = progress.Done, "id"+at
			if step.Step == 1 {
				e.ID = ""
			}
			teller.Event(&e)
		}
	}
	if err := teller.Save(); err != nil {
		t.Fatal(err)
	}
	return why
}

const containerfile = `FROM base AS one
ARG V
RUN make
COPY --exclude=*.md src/ *.txt /
FROM one
ENV A=1
COPY --from=other / /
ADD https://x/y /
`

func TestWhy(t *testing.T) {
	tests := map[string]struct {
		change   func(*testing.T, *world)
		uncached []string
		want     string
	}{
		"content": {func(t *testing.T, w *world) {
			t.Helper()
			w.write(t, "src/a", "2")
		}, []string{"1.4"}, "src/a changed"},
		"several": {func(t *testing.T, w *world) {
			t.Helper()
			w.write(t, "src/a", "2")
			w.write(t, "x.txt", "1")
			w.write(t, "src/n/m", "1")
		}, []string{"1.4"}, "src/a changed, src/n added, src/n/m added and 1 more"},
		"mode": {func(t *testing.T, w *world) {
			t.Helper()
			if err := os.Chmod(filepath.Join(w.dir, "src/a"), 0o4755); err != nil {
				t.Fatal(err)
			}
		}, []string{"1.4"}, "src/a has mode 0755, had 0644"},
		"removed": {func(t *testing.T, w *world) {
			t.Helper()
			if err := os.Remove(filepath.Join(w.dir, "src/a")); err != nil {
				t.Fatal(err)
			}
		}, []string{"1.4"}, "src/a removed"},
		"not what the step reads": {func(t *testing.T, w *world) {
			t.Helper()
			w.write(t, "o", "2")
			w.write(t, "src/x.md", "2")
			w.write(t, "ignored", "2")
		}, []string{"1.4"}, "its image id1.4 is no longer in the cache"},
		"instruction changed": {func(_ *testing.T, w *world) {
			w.file = strings.Replace(w.file, "RUN make", "RUN make all", 1)
		}, []string{"1.3"}, "instruction changed: RUN make → RUN make all"},
		"an earlier one": {func(_ *testing.T, w *world) {
			w.file = strings.Replace(w.file, "RUN make", "RUN make all", 1)
		}, []string{"1.4"}, "step 3: instruction changed: RUN make → RUN make all"},
		"instruction added": {func(_ *testing.T, w *world) {
			w.file = strings.Replace(w.file, "RUN make", "RUN x\nRUN make", 1)
		}, []string{"1.3"}, "instruction added"},
		"instruction removed": {func(_ *testing.T, w *world) {
			w.file = strings.Replace(w.file, "RUN make\n", "", 1)
		}, []string{"1.3"}, "instruction removed before it: RUN make"},
		"at the end":    {func(_ *testing.T, w *world) { w.file += "RUN y\n" }, []string{"2.5"}, "instruction added"},
		"argument":      {func(_ *testing.T, w *world) { w.args["V"] = "2" }, []string{"1.2"}, "build argument V changed"},
		"argument gone": {func(_ *testing.T, w *world) { delete(w.args, "V") }, []string{"1.2"}, "build argument V is no longer given"},
		"base":          {func(_ *testing.T, w *world) { w.images["base"] = "0123456789abcdef" }, []string{"1.2"}, "base image base changed: bbbbbbbbbbbb → 0123456789ab"},
		"base by name": {func(_ *testing.T, w *world) {
			w.file, w.images["b2"] = strings.Replace(w.file, "FROM base", "FROM b2", 1), "2"
		}, []string{"1.2"}, "base changed: FROM base AS one → FROM b2 AS one"},
		"stage":            {func(*testing.T, *world) {}, []string{"1.3", "2.2"}, "its image id1.3 is no longer in the cache|stage one changed, from its step 3 on"},
		"follows":          {func(_ *testing.T, w *world) { w.images["id1.3"] = "x" }, []string{"1.3", "1.4"}, "no image in the cache fits|step 3 was not cached"},
		"image of COPY":    {func(_ *testing.T, w *world) { w.images["other"] = "p" }, []string{"2.3"}, "image other changed: o → p"},
		"flag":             {func(_ *testing.T, w *world) { w.options["--format"] = "docker" }, []string{"2.4"}, "--format changed"},
		"what a URL gives": {func(_ *testing.T, w *world) { w.images["id2.4"] = "x" }, []string{"2.4"}, "what https://x/y gave changed"},
		"no cache":         {func(_ *testing.T, w *world) { w.noCache = true }, []string{"1.2"}, NoCache},
		"first":            {func(_ *testing.T, w *world) { w.root += "x" }, []string{"1.2"}, First},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := &world{
				root: t.TempDir(), dir: t.TempDir(), file: containerfile, args: map[string]string{"V": "1"}, options: map[string]string{},
				images: map[string]string{"base": "bbbbbbbbbbbbbbbb", "other": "o"},
			}
			for _, f := range []string{"src/a", "src/x.md", "o", "ignored"} {
				w.write(t, f, "1")
			}
			w.build(t)
			w.build(t)
			tt.change(t, w)
			why := w.build(t, tt.uncached...)
			var got []string
			for _, at := range tt.uncached {
				got = append(got, why[at])
			}
			if strings.Join(got, "|") != tt.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestFailed(t *testing.T) {
	w := &world{root: t.TempDir(), dir: t.TempDir(), file: containerfile, images: map[string]string{"base": "b"}}
	w.build(t, "!1.3")
	why := w.build(t, "1.3", "2.2")
	if why["1.3"] != "the last build ended in this step" || why["2.2"] != "the last build did not come so far" {
		t.Errorf("got %q", why)
	}
}

func TestRecordHasNoContent(t *testing.T) {
	w := &world{root: t.TempDir(), dir: t.TempDir(), file: containerfile, args: map[string]string{"V": "hidden-value"}}
	w.write(t, "src/key", "hidden-text")
	w.build(t)
	entries, err := os.ReadDir(Directory(w.root))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	data, err := os.ReadFile(filepath.Join(Directory(w.root), entries[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "hidden") || !strings.Contains(string(data), `"src/key"`) {
		t.Errorf("recorded: %s", data)
	}
}

// A record that was damaged is none.
func TestDamaged(t *testing.T) {
	for name, damage := range map[string]string{"not JSON": "x", "another version": "{\"version\":9}\n", "cut": "{\"version\":1"} {
		w := &world{root: t.TempDir(), dir: t.TempDir(), file: containerfile}
		w.build(t)
		entries, err := os.ReadDir(Directory(w.root))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(Directory(w.root), entries[0].Name()), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if why := w.build(t, "1.3"); why["1.3"] != First {
			t.Errorf("%s: %q", name, why)
		}
	}
}

// Files that are as they were are not read again.
func TestScanReadsOnce(t *testing.T) {
	dir := t.TempDir()
	w := &world{dir: dir}
	w.write(t, "a", "1")
	w.write(t, "b", "1")
	old, err := scan(t.Context(), dir, []string{"."}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range old {
		f.digest = "remembered"
		old[name] = f
	}
	w.write(t, "b", "2")
	now, err := scan(t.Context(), dir, []string{"*"}, nil, old)
	if err != nil {
		t.Fatal(err)
	}
	if now["a"].digest != "remembered" || now["b"].digest == "remembered" || now["b"].digest == "" {
		t.Errorf("got %+v", now)
	}
}

// A link is a link; nothing outside is read; a pipe does not stop the scan.
func TestScanHostile(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	w := &world{dir: outside}
	w.write(t, "secret", "1")
	for name, target := range map[string]string{"dir": outside, "file": outside + "/secret", "up": "../.."} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := scan(t.Context(), dir, []string{"dir/secret", "../../etc", "/", "up"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 3 || found["dir"].mode&os.ModeSymlink == 0 {
		t.Errorf("got %+v", found)
	}
}

func TestPrune(t *testing.T) {
	root := t.TempDir()
	dir := Directory(root)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"new": 0, "old": 48 * time.Hour, ".new-1": 0, ".new-2": 48 * time.Hour} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("12"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	freed, err := Prune(root, 24*time.Hour)
	if err != nil || freed != 4 {
		t.Errorf("freed %d: %v", freed, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || left[0].Name() != ".new-1" || left[1].Name() != "new" {
		t.Errorf("left %v", left)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("{\"version\":1,\"whole\":true}\nab 1 2 3 4 5 \"x\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "r")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		load(path)
	})
}

// What a cached build of a context of 1000 files pays, if nothing ran beside it.
func BenchmarkCached(b *testing.B) {
	dir, root := b.TempDir(), b.TempDir()
	for i := range 1000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("text"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	p, err := plan.Parse([][]byte{[]byte("FROM scratch\nCOPY . /")}, &plan.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		t := Watch(b.Context(), &Options{GraphRoot: root, Plan: p, Dir: dir, Excludes: []string{"*.md", ".git"}, Image: func(string) string { return "" }})
		if err := t.Save(); err != nil {
			b.Fatal(err)
		}
	}
}
