package installer

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files of a map; a content "->X" makes a link to X.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(text, "->"); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(files []File) []string {
	var all []string
	for _, f := range files {
		all = append(all, f.Name)
	}
	slices.Sort(all)
	return all
}

func TestGather(t *testing.T) {
	dir := tree(t, map[string]string{
		"web.container": "[Container]\nImage=a\n", "db.network": "[Network]\n", "web.conf": "x", "bad name.container": "", "fifo.txt": "->/dev/null",
		"many.quadlets":        "# FileName=one\n[Volume]\n---\n\n---\n# FileName=two.pod\n[Unit]\n[Pod]\n",
		"app/a.container":      "[Container]\nImage=a\n",
		"app/conf/a.conf":      "a",
		"app/w@.container":     "[Container]\nImage=a\n",
		"app/w@1.container":    "->w@.container",
		"app/.git/config":      "secret",
		"app/.containerignore": "x",
		"evil/a.container":     "[Container]\n",
		"evil/key":             "->../web.conf",
		"empty/readme":         "none",
		"taken/.pod.list":      "x",
		"taken/a.container":    "[Container]\n",
	})
	for name, c := range map[string]struct {
		args []string
		app  string
		want []string
		err  string
	}{
		"one":            {args: []string{"web.container"}, want: []string{"web.container"}},
		"two":            {args: []string{"web.container", "db.network"}, want: []string{"db.network", "web.container"}},
		"several in one": {args: []string{"many.quadlets"}, want: []string{"one.volume", "two.pod"}},
		"application": {args: []string{"app"}, app: "shop", want: []string{
			"shop/.containerignore", "shop/a.container", "shop/conf/a.conf", "shop/w@.container", "shop/w@1.container",
		}},
		"asset in an application": {args: []string{"web.container", "web.conf"}, app: "shop", want: []string{"shop/web.conf", "shop/web.container"}},
		"asset alone":             {args: []string{"web.container", "web.conf"}, err: `unsupported quadlet extension (".conf")`},
		"directory without name":  {args: []string{"app"}, err: "application name cannot be empty when installing from directory: --application app"},
		"directory second":        {args: []string{"web.container", "app"}, app: "x", err: "only the first"},
		"missing":                 {args: []string{"gone.container"}, err: "no such file"},
		"name":                    {args: []string{"bad name.container"}, err: "none that systemd takes"},
		"device":                  {args: []string{"fifo.txt"}, app: "x", err: "no regular file"},
		"twice":                   {args: []string{"web.container", "./web.container"}, err: "it has the name"},
		"link that leads out":     {args: []string{"evil"}, app: "x", err: "only links to files beside them"},
		"no units":                {args: []string{"empty"}, app: "x", err: "no Quadlet file"},
		"our own file":            {args: []string{"taken"}, app: "x", err: "pod's own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(dir)
			g := &Gatherer{Application: c.app}
			files, failed := g.Gather(t.Context(), c.args)
			if c.err != "" {
				if len(failed) != 1 || !strings.Contains(failed[0].Error(), c.err) || files != nil {
					t.Errorf("%v, %v; want %q", files, failed, c.err)
				}
				return
			}
			if got := names(files); len(failed) > 0 || !slices.Equal(got, c.want) {
				t.Errorf("%v, %v; want %v", got, failed, c.want)
			}
		})
	}
}

func TestGatherBounds(t *testing.T) {
	dir := tree(t, map[string]string{"big.container": strings.Repeat("#", maxUnit+1), "big": strings.Repeat("#", maxFile+1), "a.volume": ""})
	for _, name := range []string{"big.container", "big"} {
		g := &Gatherer{Application: "x"}
		if _, failed := g.Gather(t.Context(), []string{filepath.Join(dir, "a.volume"), filepath.Join(dir, name)}); len(failed) != 1 || !strings.Contains(failed[0].Error(), "larger than") {
			t.Errorf("%s: %v", name, failed)
		}
	}
}

func TestFetch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/named":
			w.Header().Set("Content-Disposition", `attachment; filename="given.volume"`)
		case "/out":
			w.Header().Set("Content-Disposition", `attachment; filename="../../out.volume"`)
		case "/gone.volume":
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("[Volume]\n"))
	}))
	defer server.Close()
	for path, c := range map[string]struct{ name, err string }{
		"/a.volume":       {name: "a.volume"},
		"/a.volume?raw=1": {name: "a.volume"},
		"/named":          {name: "given.volume"},
		"/out":            {err: "path separators"},
		"/gone.volume":    {err: "404 Not Found"},
		"/":               {err: "path separators"},
		"/readme.md":      {err: "unsupported quadlet extension"},
	} {
		g := &Gatherer{Client: server.Client()}
		files, failed := g.Gather(t.Context(), []string{server.URL + path})
		if c.err != "" {
			if len(failed) != 1 || !strings.Contains(failed[0].Error(), c.err) {
				t.Errorf("%s: %v; want %q", path, failed, c.err)
			}
			continue
		}
		if len(failed) > 0 || len(files) != 1 || files[0].Name != c.name || string(files[0].Data) != "[Volume]\n" {
			t.Errorf("%s: %v, %v", path, files, failed)
		}
	}
}

func TestSplit(t *testing.T) {
	text := "\n# FileName=a\n[Container]\nImage=x\n---\n\n\n# a comment\n#FileName= b \n[Unit]\nDescription=b\n[Network]\n"
	files, err := split(File{Name: "sub/x.quadlets", Source: "x.quadlets", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 || files[0].Name != "sub/a.container" || files[0].Line != 1 || files[1].Name != "sub/b.network" || files[1].Line != 7 {
		t.Errorf("%+v", files)
	}
	if got := string(files[0].Data); got != "# FileName=a\n[Container]\nImage=x\n" {
		t.Errorf("%q", got)
	}
	for text, want := range map[string]string{
		"":                         "no valid quadlet sections",
		"---\n---\n":               "no valid quadlet sections",
		"[Container]\n":            "line 1: missing required '# FileName=<name>' comment",
		"# FileName=a\n[Unit]\n":   "line 1: no recognized quadlet section",
		"# FileName=\n[Pod]\n":     "no filename specified",
		"# FileName=../a\n[Pod]\n": "cannot contain path separators",
		"# FileName=a\n[Pod]\n---\n# FileName=a\n[Pod]\n": "it has the name",
		"# FileName=.hidden\n[Pod]\n":                     "none that systemd takes",
	} {
		if _, err := split(File{Name: "x.quadlets", Source: "x", Data: []byte(text)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

func TestCheckApplication(t *testing.T) {
	for name, good := range map[string]bool{
		"shop": true, "my-shop_2": true, "": false, ".": false, "..": false, "a/b": false, "../x": false, ".hidden": false, "x.container": false, "x.container.d": false, ".pod": false,
	} {
		if err := CheckApplication(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
