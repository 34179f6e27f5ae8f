package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.podman.io/storage/pkg/reexec"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/library"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/storage"
)

func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	m.Run()
}

// machine runs commands on a store of its own.
type machine struct {
	t   *testing.T
	dir string
	in  *os.File
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the library's drivers need root, or a user namespace")
	}
	m := &machine{t: t, dir: t.TempDir()}
	for name, text := range map[string]string{
		"registries.conf": "", "policy.json": `{"default":[{"type":"insecureAcceptAnything"}]}`, "auth.json": "{}",
		"containers.conf": "[engine]\nevents_logger=\"none\"\n",
	} {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CONTAINERS_POLICY_JSON", filepath.Join(m.dir, "policy.json"))
	t.Setenv("CONTAINERS_CONF", filepath.Join(m.dir, "containers.conf"))
	t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(m.dir, "auth.json"))
	t.Cleanup(func() {
		store, _, err := storage.Open(t.Context(), storage.Options{Root: m.path("root"), RunRoot: m.path("run")})
		if err != nil {
			// t.Context is done by now; the paths alone matter.
			return
		}
		_ = store.Close()
	})
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// run runs one command line and returns its output and error.
func (m *machine) run(args ...string) (string, string, error) {
	m.t.Helper()
	var out, errOut bytes.Buffer
	a := cli.New(rootless.Entry{}, append([]string{"pod"}, args...), time.Now())
	a.Parts = library.Parts()
	a.EnterAs(&rootless.Session{RunBase: m.path("run")})
	a.Out, a.Err = &out, &errOut
	if m.in != nil {
		a.In = m.in
	}
	a.Global.Root, a.Global.RunRoot, a.Global.RegistriesConf = m.path("root"), m.path("run"), m.path("registries.conf")
	a.Global.EventsBackend = "none"
	root := &cobra.Command{Use: "pod", SilenceErrors: true, SilenceUsage: true}
	group, aliases := Commands(a)
	root.AddCommand(append(aliases, group)...)
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errOut)
	err := root.ExecuteContext(m.t.Context())
	if store, openErr := a.Storage(m.t.Context()); openErr == nil {
		lib, shutErr := store.Library()
		if shutErr == nil {
			_, shutErr = lib.Shutdown(true)
		}
		if shutErr != nil {
			m.t.Error(shutErr)
		}
	}
	if closeErr := a.Close(); closeErr != nil {
		m.t.Error(closeErr)
	}
	return out.String(), errOut.String(), err
}

// ok runs a command that must succeed.
func (m *machine) ok(args ...string) string {
	m.t.Helper()
	out, errOut, err := m.run(args...)
	if err != nil {
		m.t.Fatalf("%v: %v\n%s", args, err, errOut)
	}
	return out
}

func (m *machine) rootfs() string {
	m.t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644}); err != nil {
		m.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		m.t.Fatal(err)
	}
	path := m.path("rootfs.tar")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

func TestWholeTour(t *testing.T) {
	m := newMachine(t)
	id := strings.TrimSpace(m.ok("import", "--quiet", "--change", "CMD=/x", "--change", "LABEL a=b", m.rootfs(), "app:v1"))
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(id) {
		t.Fatalf("import printed %q", id)
	}
	m.ok("tag", "app:v1", "other")
	lines := strings.Split(strings.TrimSpace(m.ok("images")), "\n")
	if len(lines) != 3 || !regexp.MustCompile(`^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$`).MatchString(strings.TrimSpace(lines[0])) {
		t.Errorf("images:\n%s", strings.Join(lines, "\n"))
	}
	if got := m.ok("images", "--quiet"); got != id[7:19]+"\n" {
		t.Errorf("images -q: %q", got)
	}
	if got := m.ok("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--sort", "repository"); got != "localhost/app:v1\nlocalhost/other:latest\n" {
		t.Errorf("images --format: %q", got)
	}
	var docs []map[string]any
	if err := json.Unmarshal([]byte(m.ok("images", "--format", "json")), &docs); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"Id", "ParentId", "RepoTags", "RepoDigests", "Size", "SharedSize", "VirtualSize", "Labels",
		"Containers", "Digest", "Names", "Created", "CreatedAt", "Repository", "Tag",
	} {
		if _, ok := docs[0][key]; !ok {
			t.Errorf("images --format json: no key %s", key)
		}
	}
	if got := m.ok("image", "inspect", "--format", "{{.Id}} {{.Config.Cmd}}", "other"); got != id[7:]+" [/bin/sh -c /x]\n" {
		t.Errorf("inspect: %q", got)
	}
	archive := m.path("app.tar")
	m.ok("save", "--quiet", "--output", archive, "app:v1", "extra:1")
	if got := m.ok("rmi", "other", "app:v1"); got != "Untagged: localhost/other:latest\nUntagged: localhost/app:v1\nDeleted: "+id[7:]+"\n" {
		t.Errorf("rmi: %q", got)
	}
	if got := m.ok("load", "-q", "-i", archive); !strings.Contains(got, "Loaded image: localhost/extra:1\n") || !strings.Contains(got, "Loaded image: localhost/app:v1\n") {
		t.Errorf("load: %q", got)
	}
	m.ok("untag", "extra:1")
	if got := m.ok("image", "prune", "--force"); strings.Count(got, "\n") != 1 {
		t.Errorf("prune: %q", got)
	}
	if got := m.ok("images", "--noheading"); got != "" {
		t.Errorf("left: %q", got)
	}
}

func TestHelloAndStream(t *testing.T) {
	m := newMachine(t)
	id := m.ok("pull", "hello")
	archive := m.ok("save", "--quiet", "hello")
	if err := os.WriteFile(m.path("hello.tar"), []byte(archive), 0o600); err != nil {
		t.Fatal(err)
	}
	m.ok("rmi", "--all", "--force")
	f, err := os.Open(m.path("hello.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m.in = f
	if got := m.ok("load"); got != "Loaded image: localhost/hello:latest\n" {
		t.Errorf("load: %q, pulled %s", got, id)
	}
}

func TestExitCodes(t *testing.T) {
	m := newMachine(t)
	m.ok("pull", "--quiet", "hello")
	store, _, err := storage.Open(t.Context(), storage.Options{Root: m.path("root"), RunRoot: m.path("run")})
	if err != nil {
		t.Fatal(err)
	}
	images, err := store.ImageSizes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	container := strings.Repeat("d", 64)
	for id := range images {
		if err := store.CreateContainer(t.Context(), storage.ContainerOptions{ID: container, ImageID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		code int
		text string
	}{
		"exists":           {[]string{"image", "exists", "hello"}, 0, ""},
		"exists not":       {[]string{"image", "exists", "nothing"}, 1, "exit code 1"},
		"rmi unknown":      {[]string{"rmi", "nothing"}, 1, "nothing: image not known"},
		"rmi in use":       {[]string{"rmi", "hello"}, 2, "image is in use by a container: remove container " + container[:12]},
		"rmi both":         {[]string{"rmi", "nothing", "hello"}, 2, "nothing: image not known"},
		"rmi ignore":       {[]string{"rmi", "--ignore", "nothing"}, 0, ""},
		"rmi none":         {[]string{"rmi"}, 125, "must be specified"},
		"inspect unknown":  {[]string{"image", "inspect", "nothing"}, 125, "no such image"},
		"tag unknown":      {[]string{"tag", "nothing", "x"}, 125, "no such image"},
		"tag bad name":     {[]string{"tag", "hello", "UPPER"}, 125, "must be lowercase"},
		"save unknown":     {[]string{"save", "-o", filepath.Join(t.TempDir(), "x"), "nothing"}, 125, "no such image"},
		"save bad format":  {[]string{"save", "--format", "zip", "-o", "x", "hello"}, 125, `unknown format "zip"`},
		"load absent":      {[]string{"load", "-i", "/nowhere.tar"}, 125, "/nowhere.tar: no such file or directory"},
		"bad sort":         {[]string{"images", "--sort", "colour"}, 125, "--sort"},
		"bad filter":       {[]string{"images", "--filter", "colour=red"}, 125, "colour"},
		"bad prune filter": {[]string{"image", "prune", "-f", "--filter", "id=1"}, 125, "id=1"},
		"bad policy":       {[]string{"pull", "--policy", "never ever", "x"}, 125, "never ever"},
		"no key":           {[]string{"pull", "--decryption-key", "k", "x"}, 125, "open k: no such file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m.t = t
			_, _, err := m.run(test.args...)
			if code := cli.Code(err); code != test.code {
				t.Errorf("exit code %d, want %d (%v)", code, test.code, err)
			}
			if err != nil && (!strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%q, want %q", err, test.text)
			}
		})
	}
	m.t = t
	_, _, err = m.run("rmi", "nothing", "hello")
	var many cli.Many
	if !errors.As(err, &many) || len(many) != 2 {
		t.Errorf("two errors expected: %v", err)
	}
}
