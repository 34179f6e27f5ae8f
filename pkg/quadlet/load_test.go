package quadlet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/quadlet"
)

// tree writes files below a directory; a text that begins with "-> " is a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(strings.ReplaceAll(target, "ROOT", root), path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// hostOf is a host whose machine is below root.
func hostOf(root string, user bool, env map[string]string) quadlet.Host {
	return quadlet.Host{User: user, UID: 1000, Root: root, Program: program, Getenv: func(name string) string {
		return strings.ReplaceAll(env[name], "ROOT", root)
	}}
}

// below shows paths without the root.
func below(root string, paths []string) []string {
	var rel []string
	for _, p := range paths {
		rel = append(rel, strings.TrimPrefix(p, root+"/"))
	}
	return rel
}

func TestDirs(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"run/containers/systemd/a.container": "", "home/.config/containers/systemd/sub/deep/b.container": "",
		"home/.config/containers/systemd/x.container.d/a.conf": "", "home/.config/containers/systemd/loop": "-> .",
		"home/.config/containers/systemd/out": "-> ROOT/elsewhere", "elsewhere/c.container": "",
		"etc/containers/systemd/users/1000/d.container": "", "etc/containers/systemd/users/1001/e.container": "",
		"etc/containers/systemd/users/all/f.container": "", "etc/containers/systemd/g.container": "", "etc/containers/systemd/sub/h.container": "",
		"usr/share/containers/systemd/users/1000/i.container": "", "usr/share/containers/systemd/j.container": "",
	})
	tests := []struct {
		name string
		user bool
		env  map[string]string
		want []string
	}{
		{"user", true, map[string]string{"HOME": "ROOT/home", "XDG_RUNTIME_DIR": "ROOT/run"}, []string{
			"run/containers/systemd", "home/.config/containers/systemd", "elsewhere", "home/.config/containers/systemd/sub", "home/.config/containers/systemd/sub/deep",
			"etc/containers/systemd/users", "etc/containers/systemd/users/all", "etc/containers/systemd/users/1000",
			"usr/share/containers/systemd/users", "usr/share/containers/systemd/users/1000",
		}},
		{"user without a session", true, map[string]string{"HOME": "ROOT/nohome", "XDG_CONFIG_HOME": "relative"}, []string{
			"nohome/.config/containers/systemd", "etc/containers/systemd/users", "etc/containers/systemd/users/all", "etc/containers/systemd/users/1000",
			"usr/share/containers/systemd/users", "usr/share/containers/systemd/users/1000",
		}},
		{"user without a home", true, nil, []string{
			"etc/containers/systemd/users", "etc/containers/systemd/users/all", "etc/containers/systemd/users/1000",
			"usr/share/containers/systemd/users", "usr/share/containers/systemd/users/1000",
		}},
		{"system", false, nil, []string{"run/containers/systemd", "etc/containers/systemd", "etc/containers/systemd/sub", "usr/share/containers/systemd"}},
		{"variable", true, map[string]string{"QUADLET_UNIT_DIRS": "ROOT/elsewhere:ROOT/home/.config/containers/systemd/sub"}, []string{
			"elsewhere", "home/.config/containers/systemd/sub", "home/.config/containers/systemd/sub/deep",
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dirs, problems := hostOf(root, tc.user, tc.env).Dirs()
			if got := below(root, dirs); !reflect.DeepEqual(got, tc.want) || len(problems) > 0 {
				t.Errorf("got  %q %v\nwant %q", got, problems, tc.want)
			}
		})
	}
	dirs, problems := hostOf(root, true, map[string]string{"QUADLET_UNIT_DIRS": "ROOT/elsewhere:relative:ROOT/home"}).Dirs()
	if len(dirs) != 1 || len(problems) != 1 || problems[0].String() != `QUADLET_UNIT_DIRS:1: "relative" is no absolute path: it and what follows is not searched` {
		t.Errorf("%q, %v", dirs, problems)
	}
}

func TestInstallDir(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]quadlet.Host{
		"/r/etc/containers/systemd":          hostOf("/r", false, nil),
		"/home/u/.config/containers/systemd": hostOf("/r", true, map[string]string{"HOME": "/home/u"}),
		"/c/containers/systemd":              hostOf("/r", true, map[string]string{"HOME": "/home/u", "XDG_CONFIG_HOME": "/c"}),
	} {
		if got := h.InstallDir(); got != want {
			t.Errorf("InstallDir = %s, want %s", got, want)
		}
	}
}

// TestLoad: which file of a name counts, and which are none.
func TestLoad(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"a/x.container": "[Container]\nImage=localhost/first\n", "b/x.container": "[Container]\nImage=localhost/second\n",
		"a/sub/y.volume": "[Volume]\n", "a/link.container": "-> ROOT/c/target.container", "c/target.container": minimal(".container"),
		"a/masked.container": "-> /dev/null", "b/masked.container": minimal(".container"),
		"a/dangling.container": "-> nowhere", "a/dir.container/z.container": minimal(".container"), "a/tty.container": "-> /dev/tty",
		"a/notes.txt": "x", "a/.pod": "x", "a/broken.container": "[Container\n", "b/broken.container": minimal(".container"), "a/bad.volume": "[Volume]\n\nLabel\nx\n",
	})
	if err := unix.Mkfifo(filepath.Join(root, "a/zfifo.pod"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, problems := quadlet.Load(hostOf(root, true, map[string]string{"QUADLET_UNIT_DIRS": "ROOT/a:ROOT/b"}))
	var got []string
	for _, u := range s.Units {
		state := ""
		if u.File == nil {
			state = " broken"
		}
		got = append(got, strings.TrimPrefix(u.Path, root+"/")+state)
	}
	want := []string{"a/bad.volume broken", "a/broken.container broken", "a/dangling.container broken", "a/link.container", "a/tty.container broken", "a/x.container", "a/zfifo.pod broken", "a/dir.container/z.container", "a/sub/y.volume"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var texts []string
	for _, p := range problems {
		texts = append(texts, strings.TrimPrefix(p.String(), root+"/"))
	}
	tty := "a/tty.container:1: cannot be read: it is no regular file"
	if len(texts) > 4 && strings.HasPrefix(texts[4], "a/tty") {
		tty = texts[4] // who has no terminal cannot open it
	}
	wantTexts := []string{
		`a/bad.volume:3: "Label": a section, KEY=VALUE or a comment is expected (missing '=')`, `a/bad.volume:4: "x": a section, KEY=VALUE or a comment is expected (missing '=')`,
		`a/broken.container:1: "[Container": a section ends with ']'`, "a/dangling.container:1: cannot be read: no such file or directory", tty,
		"a/zfifo.pod:1: cannot be read: it is no regular file",
	}
	if !reflect.DeepEqual(texts, wantTexts) {
		t.Errorf("got  %q\nwant %q", texts, wantTexts)
	}
	if v, _ := s.Lookup("x.container").File.Get("Container", "Image"); v.Text != "localhost/first" {
		t.Errorf("x.container is of %s", v.Text)
	}
}

// TestDropIns: which count, in which order, and that their lines are told.
func TestDropIns(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a/web-app@.container": "[Container]\nImage=localhost/i\nLabel=l=0\n", "a/web-app@one.container": "-> web-app@.container",
		"b/container.d/50-all.conf":                "[Container]\nLabel=a=all\n",
		"b/container.d/10-same.conf":               "[Container]\nLabel=b=all\n",
		"b/web-.container.d/20-prefix.conf":        "[Container]\nLabel=\nLabel=c=prefix\n",
		"a/web-app@.container.d/30-template.conf":  "[Service]\nRestart=always\n",
		"b/web-app@one.container.d/10-same.conf":   "[Container]\nLabel=b=instance\n",
		"a/web-app@one.container.d/60-masked.conf": "-> /dev/null",
		"b/web-app@one.container.d/60-masked.conf": "[Container]\nLabel=d=hidden\n",
		"b/web-app@one.container.d/note.txt":       "nonsense",
		"b/app.container.d/10-other.conf":          "nonsense",
	}
	root := tree(t, files)
	host := hostOf(root, true, map[string]string{"QUADLET_UNIT_DIRS": "ROOT/a:ROOT/b"})
	s, problems := quadlet.Load(host)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	u := s.Lookup("web-app@one.container")
	want := []string{"b/web-app@one.container.d/10-same.conf", "b/web-.container.d/20-prefix.conf", "a/web-app@.container.d/30-template.conf", "b/container.d/50-all.conf"}
	if got := below(root, u.DropIns); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var labels []string
	for _, v := range u.File.All("Container", "Label") {
		labels = append(labels, fmt.Sprintf("%s:%d %s", filepath.Base(v.Pos.File), v.Pos.Line, v.Text))
	}
	if want := []string{"20-prefix.conf:3 c=prefix", "50-all.conf:2 a=all"}; !reflect.DeepEqual(labels, want) {
		t.Errorf("labels %q, want %q", labels, want)
	}
	if err := os.WriteFile(filepath.Join(root, "a/web-app@one.container.d/70.conf"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, problems = quadlet.Load(host)
	if len(problems) != 1 || s.Lookup("web-app@one.container").File != nil || s.Lookup("web-app@.container").File == nil {
		t.Errorf("a broken drop-in: %v", problems)
	}
}
