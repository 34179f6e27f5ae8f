package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pod.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	system := write(t, "[gc]\nmax_size = \"20GB\"\nvolumes = true\nunused_for = \"30d\"\n")
	user := write(t, "# mine\ngc.keep_free = \"5GB\"\ngc.volumes = false\ngc.unused_for = \"2w\"\ngc.tagged = true\n")
	got, err := Load(system, filepath.Join(t.TempDir(), "absent"), user)
	if err != nil {
		t.Fatal(err)
	}
	if got.GC.UnusedFor == nil || *got.GC.UnusedFor != 14*24*time.Hour {
		t.Errorf("unused_for %v", got.GC.UnusedFor)
	}
	got.GC.UnusedFor = nil
	if want := (GC{MaxSize: 20e9, KeepFree: 5e9, Tagged: true}); got.GC != want {
		t.Errorf("got %+v, want %+v", got.GC, want)
	}
	if !got.GC.Active() || (&GC{Tagged: true}).Active() {
		t.Error("Active is wrong")
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"misspelt":       {"[gc]\nmax_size = \"1GB\"\n\nkeep_fre = \"5GB\"\n", ":4: unknown key \"gc.keep_fre\": did you mean gc.keep_free?"},
		"table":          {"\n[cg]\nx = 1\n", ":2: unknown key \"cg\": did you mean gc?"},
		"dotted":         {"gc.maxsize = \"1\"\n", ":1: unknown key \"gc.maxsize\": did you mean gc.max_size?"},
		"no size":        {"[gc]\nmax_size = \"much\"\n", ":2: max_size: \"much\" is no size: write a number and a unit, as in 20GB"},
		"negative":       {"[gc]\nkeep_free = \"-1GB\"\n", ":2: keep_free: \"-1GB\" is no size"},
		"no span":        {"[gc]\n\n\nunused_for = \"month\"\n", ":4: unused_for: \"month\" is no length of time"},
		"number":         {"[gc]\nmax_size = 20\n", ":2: gc.max_size: "},
		"not a bool":     {"[gc]\ntagged = \"yes\"\n", ":2: gc.tagged: "},
		"syntax":         {"[gc]\nmax_size = 20GB\n", ":2: "},
		"twice":          {"[gc]\ntagged = true\ntagged = true\n", ":3: "},
		"unclosed table": {"[gc\n", ":2: "},
	} {
		path := write(t, tt.text)
		_, err := Load(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a directory is accepted")
	}
	if _, err := Load(write(t, strings.Repeat("#", maxFile+1))); err == nil {
		t.Error("a huge file is accepted")
	}
}

func TestUser(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	for dir, want := range map[string]string{"/conf": "/conf/pod/pod.toml", "": "/home/u/.config/pod/pod.toml", "relative": "/home/u/.config/pod/pod.toml"} {
		t.Setenv("XDG_CONFIG_HOME", dir)
		if got, err := User(); err != nil || got != want {
			t.Errorf("XDG_CONFIG_HOME=%q: %q, %v", dir, got, err)
		}
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	if _, err := User(); err == nil {
		t.Error("no home is accepted")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[gc]\nmax_size = \"1GB\"\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		var s Settings
		_ = s.parse("pod.toml", text)
	})
}
