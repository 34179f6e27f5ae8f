package installer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/quadlet"
)

func TestCheck(t *testing.T) {
	there := tree(t, map[string]string{
		"systemd/old.network": "[Network]\n", "systemd/broken.container": "[Container]\nNope=1\n",
		"systemd/db.container.d/10.conf": "[Container]\nWrong=1\n", "systemd/web.container": "[Container]\nBroken=1\n",
	})
	env := map[string]string{"HOME": there, quadlet.UnitDirsVariable: filepath.Join(there, "systemd")}
	host := quadlet.Host{User: true, UID: 1000, Getenv: func(name string) string { return env[name] }, Program: "/usr/bin/pod"}
	file := func(name, text string) File { return File{Name: name, Source: "my/" + name, Data: []byte(text)} }
	for name, c := range map[string]struct {
		files    []File
		services []string
		want     []string
	}{
		"a file beside others that are broken": {
			files:    []File{file("web.container", "[Container]\nImage=localhost/a\nNetwork=old.network\n")},
			services: []string{"web.service"},
		},
		"files that need each other": {
			files:    []File{file("app/a.container", "[Container]\nImage=localhost/a\nVolume=a.volume:/a\n"), file("app/a.volume", "[Volume]\n"), file("app/x.conf", "anything")},
			services: []string{"a-volume.service", "a.service"},
		},
		"a template and an instance": {
			files:    []File{file("w@.container", "[Container]\nImage=localhost/a\n"), {Name: "w@1.container", Source: "w@1.container", Link: "w@.container"}},
			services: []string{"w@1.service"},
		},
		"a wrong key":         {files: []File{file("a.container", "[Container]\nImage=localhost/a\nNope=1\n")}, want: []string{`my/a.container:3: unknown key "Nope"`}},
		"a part of a file":    {files: []File{{Name: "a.pod", Source: "all.quadlets", Line: 10, Data: []byte("[Pod]\nNope=1\n")}}, want: []string{`all.quadlets:12: unknown key "Nope"`}},
		"a missing unit":      {files: []File{file("a.container", "[Container]\nImage=localhost/a\nPod=gone.pod\n")}, want: []string{"my/a.container:3: pod gone.pod: no such unit"}},
		"a drop-in is broken": {files: []File{file("db.container", "[Container]\nImage=localhost/a\n")}, want: []string{`systemd/db.container.d/10.conf:2: unknown key "Wrong"`}},
		"kube":                {files: []File{file("a.kube", "[Kube]\nYaml=a.yml\n")}, want: []string{"not supported yet"}},
		"syntax":              {files: []File{file("a.container", "[Container\n")}, want: []string{"my/a.container:1: "}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Check(host, c.files)
			slices.Sort(got.Services)
			if len(c.want) == 0 && (len(got.Failed) > 0 || !slices.Equal(got.Services, c.services)) {
				t.Errorf("%v, %v; want %v", got.Services, got.Failed, c.services)
			}
			if len(got.Failed) != len(c.want) {
				t.Fatalf("%v; want %q", got.Failed, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(got.Failed[i].Error(), want) {
					t.Errorf("%v; want %q", got.Failed[i], want)
				}
			}
		})
	}
}
