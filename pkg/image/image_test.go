package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/rootless-pod/pod/internal/testregistry"
	"github.com/rootless-pod/pod/pkg/storage"
)

func TestPullAndResolve(t *testing.T) {
	ctx := t.Context()
	host := serve(t, false, nil)
	img := makeImage(t, "amd64", "one")
	push(t, host+"/team/app:v1", img)
	store := newStore(t, Options{})

	var progress bytes.Buffer
	opts := plainHTTP()
	opts.Progress = &progress
	pulled, err := store.Pull(ctx, host+"/team/app:v1", opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(pulled) != 1 || pulled[0].ID != idOf(t, img) {
		t.Fatalf("pulled %v, want %s", pulled, idOf(t, img))
	}
	if !strings.Contains(progress.String(), "Trying to pull") {
		t.Errorf("progress: %q", progress.String())
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{
		host + "/team/app:v1", "team/app:v1", "app:v1", pulled[0].ID, pulled[0].ID[:10], "sha256:" + pulled[0].ID,
		host + "/team/app@" + digest.String(),
	} {
		config, err := store.Resolve(ctx, ref)
		if err != nil {
			t.Errorf("Resolve(%s): %v", ref, err)
			continue
		}
		if config.ID != pulled[0].ID || config.Name != host+"/team/app:v1" || config.Digest != digest.String() {
			t.Errorf("Resolve(%s) = %s %s %s", ref, config.ID, config.Name, config.Digest)
		}
		if !slices.Equal(config.Env, []string{"PATH=/bin", "EMPTY="}) {
			t.Errorf("env %q: entries without name or = must go", config.Env)
		}
		if config.User != "7:8" || config.WorkingDir != "/srv" || config.StopSignal != "SIGINT" ||
			!slices.Equal(config.Volumes, []string{"/v1", "/v2"}) || config.Labels["a"] != "b" {
			t.Errorf("config %+v", config)
		}
	}
	for ref, plain := range map[string]bool{
		host + "/team/app:v1": true, "team/app:v1": true, "app:v1": true, pulled[0].ID: true, "sha256:" + pulled[0].ID: true,
		pulled[0].ID[:10]: false, host + "/team/app@" + digest.String(): false, "app": false, host + "/team/app": false, "pp:v1": false, "APP:v1": false,
	} {
		if _, ok, err := store.basic.Find(ref); ok != plain || err != nil {
			t.Errorf("Find(%s): %v, %v", ref, ok, err)
		}
	}
	if _, err := store.Resolve(ctx, "app:v2"); !errors.Is(err, ErrNoImage) ||
		!strings.Contains(err.Error(), "app:v2: image not known") || !strings.Contains(err.Error(), "no such image") {
		t.Errorf("unknown tag: %v", err)
	}
	if ok, err := store.Exists(ctx, "nothing"); ok || err != nil {
		t.Errorf("Exists(nothing) = %v, %v", ok, err)
	}
}

func TestEnsurePolicies(t *testing.T) {
	ctx := t.Context()
	host := serve(t, false, nil)
	ref := host + "/app:latest"
	first, second := makeImage(t, "amd64", "one"), makeImage(t, "amd64", "two")
	push(t, ref, first)
	store := newStore(t, Options{})

	opts := plainHTTP()
	opts.Policy = PolicyNever
	if _, err := store.Ensure(ctx, ref, opts); !errors.Is(err, ErrNoImage) {
		t.Fatalf("never: %v", err)
	}
	steps := []struct {
		policy string
		push   v1.Image
		want   v1.Image
	}{
		{PolicyMissing, nil, first},
		{PolicyMissing, second, first},
		{PolicyNever, nil, first},
		{PolicyNewer, nil, second},
		{PolicyNewer, nil, second},
		{PolicyAlways, first, first},
	}
	for i, step := range steps {
		if step.push != nil {
			push(t, ref, step.push)
		}
		opts.Policy = step.policy
		config, err := store.Ensure(ctx, ref, opts)
		if err != nil || config.ID != idOf(t, step.want) || config.Name != ref {
			t.Errorf("step %d, %s: %s %s %v", i, step.policy, config.ID, config.Name, err)
		}
	}
	opts.Policy = "sometimes"
	if _, err := store.Pull(ctx, ref, opts); err == nil || !strings.Contains(err.Error(), "sometimes") {
		t.Errorf("unknown policy: %v", err)
	}
}

func basicAuth(user, password string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			u, p, ok := r.BasicAuth()
			if !ok || u != user || p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestPullErrors(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	open := serve(t, false, nil)
	locked := serve(t, false, basicAuth("me", "secret"))
	secure := serve(t, true, nil)
	arm := makeImage(t, "arm64", "arm")
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}},
	})
	push(t, open+"/arm:child", arm)
	if err := testregistry.PushManifest(t.Context(), http.DefaultClient, open+"/arm", index); err != nil {
		t.Fatal(err)
	}
	verify := true
	insecure := plainHTTP()
	strict := plainHTTP()
	strict.TLSVerify = &verify
	wrong := plainHTTP()
	wrong.Creds = "me:wrong"

	tests := map[string]struct {
		ref  string
		opts PullOptions
		want []string
	}{
		"down":        {down + "/a", insecure, []string{down, "connection refused"}},
		"unknown":     {open + "/absent", insecure, []string{"manifest unknown"}},
		"locked":      {locked + "/a", insecure, []string{"unauthorized", "pod login " + locked}},
		"wrong creds": {locked + "/a", wrong, []string{"--creds", "invalid username/password"}},
		"http":        {open + "/a", strict, []string{"HTTP response to HTTPS client", "--tls-verify=false"}},
		"authority":   {secure + "/a", strict, []string{"unknown authority", "certs.d/" + secure, "--tls-verify=false"}},
		"platform":    {open + "/arm", insecure, []string{"no image for this platform"}},
		"reference":   {"UPPER/a", insecure, []string{"must be lowercase"}},
		"reference 2": {"a b", insecure, []string{"invalid reference format"}},
		"no file":     {"oci-archive:/nowhere/x.tar", insecure, []string{"/nowhere/x.tar", "no such file"}},
		"no dir":      {"dir:/nowhere", insecure, []string{"/nowhere", "no such file"}},
	}
	store := newStore(t, Options{})
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			_, err := store.Pull(t.Context(), test.ref, test.opts)
			if err == nil {
				t.Fatal("no error")
			}
			text := err.Error()
			if strings.Contains(text, "\n") || !strings.HasPrefix(text, test.ref+": ") {
				t.Errorf("not one line about %s: %q", test.ref, text)
			}
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q does not say %q", text, want)
				}
			}
		})
	}
	images, err := store.List(t.Context(), ListOptions{All: true})
	if err != nil || len(images) != 0 {
		t.Errorf("failed pulls left %v, %v", images, err)
	}
	right := plainHTTP()
	right.Creds = "me:secret"
	if _, err := store.Pull(t.Context(), locked+"/a", right); err == nil || !strings.Contains(err.Error(), "manifest unknown") {
		t.Errorf("right credentials: %v", err)
	}
}

func TestShortNames(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "registries.conf")
	write(t, conf, "unqualified-search-registries = []\n")
	store := newStore(t, Options{RegistriesConf: conf})
	_, err := store.Pull(t.Context(), "nowhere", plainHTTP())
	if err == nil || !strings.Contains(err.Error(), "no registry is configured") || !strings.Contains(err.Error(), "docker.io/library/nowhere") {
		t.Errorf("empty list: %v", err)
	}
	host := serve(t, false, nil)
	push(t, host+"/app:latest", makeImage(t, "amd64", "x"))
	write(t, conf+"2", fmt.Sprintf("unqualified-search-registries = [%q]\n", host))
	store = newStore(t, Options{RegistriesConf: conf + "2"})
	config, err := store.Ensure(t.Context(), "app", plainHTTP())
	if err != nil || config.Name != host+"/app:latest" {
		t.Errorf("search list: %v %v", config.Name, err)
	}
	store = newStore(t, Options{})
	lib, err := store.reading()
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"nowhere": "docker.io/library/nowhere:latest", "team/app:1": "docker.io/team/app:1",
		"quay.io/x": "quay.io/x", "dir:/x": "dir:/x", strings.Repeat("a", 64): strings.Repeat("a", 64),
	} {
		if got, err := lib.dockerDefault(in); err != nil || got != want {
			t.Errorf("dockerDefault(%s) = %s, %v", in, got, err)
		}
	}
}

func TestHello(t *testing.T) {
	store := newStore(t, Options{})
	config, err := store.Ensure(t.Context(), "hello", PullOptions{Policy: PolicyAlways})
	if err != nil {
		t.Fatal(err)
	}
	if config.Name != "localhost/hello:latest" || !slices.Equal(config.Cmd, []string{"/hello"}) {
		t.Errorf("config %+v", config)
	}
	again, err := store.Ensure(t.Context(), "localhost/hello", PullOptions{})
	if err != nil || again.ID != config.ID {
		t.Errorf("second: %s %v", again.ID, err)
	}
	id := strings.Repeat("1", 64)
	if err := store.Storage().CreateContainer(t.Context(), storage.ContainerOptions{ID: id, ImageID: config.ID}); err != nil {
		t.Fatal(err)
	}
	root, err := store.Storage().Mount(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(root, "hello")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the program: %v %v", info, err)
	}
	if data, err := store.Inspect(t.Context(), "hello"); err != nil || data.Os != "linux" || len(data.RootFS.Layers) != 1 {
		t.Errorf("inspect: %v %v", data, err)
	}
	// In use: not removed, the container is named.
	_, errs := store.Remove(t.Context(), []string{"hello"}, RemoveOptions{})
	if len(errs) != 1 || !errors.Is(errs[0], ErrInUse) || !strings.Contains(errs[0].Error(), id[:12]) {
		t.Errorf("remove while in use: %v", errs)
	}
	if err := store.Storage().Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	removed, errs := store.Remove(t.Context(), []string{"hello"}, RemoveOptions{})
	if len(errs) != 0 || len(removed) != 1 || !removed[0].Deleted {
		t.Errorf("remove: %v %v", removed, errs)
	}
	// A local image of that name is preferred to ours.
	other, err := store.ImportReader(t.Context(), bytes.NewReader(archiveOf(t, "x", "y")), ImportOptions{Reference: "localhost/hello"})
	if err != nil {
		t.Fatal(err)
	}
	if config, err := store.Ensure(t.Context(), "hello", PullOptions{}); err != nil || config.ID != other {
		t.Errorf("own hello: %s %v, want %s", config.ID, err, other)
	}
}

func TestTagRemovePrune(t *testing.T) {
	ctx := t.Context()
	store := newStore(t, Options{})
	id, err := store.ImportReader(ctx, bytes.NewReader(archiveOf(t, "a", "b")), ImportOptions{Reference: "localhost/a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(ctx, "a", "b:1", "registry.example/c"); err != nil {
		t.Fatal(err)
	}
	images, err := store.List(ctx, ListOptions{Details: true})
	if err != nil || len(images) != 1 || len(images[0].Names) != 3 || images[0].OS != "linux" || images[0].Size == 0 {
		t.Fatalf("list: %+v %v", images, err)
	}
	if images, err := store.List(ctx, ListOptions{Filters: []string{"reference=b"}}); err != nil || len(images) != 1 {
		t.Errorf("filter: %v %v", images, err)
	}
	if _, err := store.List(ctx, ListOptions{Filters: []string{"colour=red"}}); err == nil {
		t.Error("an unknown filter was taken")
	}
	if _, errs := store.Remove(ctx, []string{id}, RemoveOptions{}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "several names") {
		t.Errorf("remove by id with three names: %v", errs)
	}
	if removed, errs := store.Remove(ctx, []string{"b:1"}, RemoveOptions{}); len(errs) != 0 || removed[0].Deleted {
		t.Errorf("remove of one name: %v %v", removed, errs)
	}
	if err := store.Untag(ctx, "a", "nope"); err == nil || !strings.Contains(err.Error(), "tag not known") {
		t.Errorf("untag: %v", err)
	}
	if err := store.Untag(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if images, err := store.List(ctx, ListOptions{}); err != nil || len(images) != 1 || !images[0].Dangling {
		t.Errorf("after untag: %+v %v", images, err)
	}
	removed, errs := store.Prune(ctx, PruneOptions{})
	if len(errs) != 0 || len(removed) != 1 || removed[0].ID != id || removed[0].Size == 0 {
		t.Errorf("prune: %+v %v", removed, errs)
	}
	if _, errs := store.Remove(ctx, []string{"a"}, RemoveOptions{}); len(errs) != 1 || !errors.Is(errs[0], ErrNoImage) {
		t.Errorf("remove of nothing: %v", errs)
	}
	if _, errs := store.Remove(ctx, []string{"a"}, RemoveOptions{Ignore: true}); len(errs) != 0 {
		t.Errorf("remove --ignore: %v", errs)
	}
}

func TestRemoveAll(t *testing.T) {
	ctx := t.Context()
	store := newStore(t, Options{})
	used, err := store.Ensure(ctx, "hello", PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(ctx, "hello", "second"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.ImportReader(ctx, bytes.NewReader(archiveOf(t, "a", "b")), ImportOptions{Reference: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := store.Storage().CreateContainer(ctx, storage.ContainerOptions{ID: strings.Repeat("2", 64), ImageID: used.ID}); err != nil {
		t.Fatal(err)
	}
	_, errs := store.Remove(ctx, nil, RemoveOptions{All: true})
	if len(errs) != 1 || !errors.Is(errs[0], ErrInUse) {
		t.Errorf("all: %v", errs)
	}
	if images, err := store.List(ctx, ListOptions{All: true}); err != nil || len(images) != 1 || len(images[0].Names) != 2 {
		t.Errorf("left: %+v %v", images, err)
	}
	called := false
	_, errs = store.Remove(ctx, nil, RemoveOptions{All: true, Force: true, RemoveContainers: func(string) error {
		called = true
		return nil
	}})
	if len(errs) != 0 || !called {
		t.Errorf("force: %v, called %v", errs, called)
	}
	if owned, err := store.Storage().Owned(ctx); err != nil || len(owned) != 0 {
		t.Errorf("containers left: %v %v", owned, err)
	}
}

func TestForeignPlatformWarns(t *testing.T) {
	host := serve(t, false, nil)
	push(t, host+"/far:latest", makeImage(t, "s390x", "far"))
	var text bytes.Buffer
	store := newStore(t, Options{Log: slog.New(slog.NewTextHandler(&text, nil))})
	opts := plainHTTP()
	opts.Platform = "linux/s390x"
	if _, err := store.Ensure(t.Context(), host+"/far", opts); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "linux/s390x") {
		t.Errorf("warning: %q", text.String())
	}
}

func TestBuiltinPolicy(t *testing.T) {
	path, err := builtinPolicy()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // libimage opens it once per pull
		if raw, err := os.ReadFile(path); err != nil || string(raw) != acceptAnything {
			t.Fatalf("%q %v", raw, err)
		}
	}
}

func TestCancelledPull(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	host := serve(t, false, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") && r.Method == http.MethodGet {
				cancel()
			}
			next.ServeHTTP(w, r)
		})
	})
	push(t, host+"/app:latest", makeImage(t, "amd64", "x"))
	store := newStore(t, Options{})
	if _, err := store.Pull(ctx, host+"/app", plainHTTP()); err == nil {
		t.Fatal("a cancelled pull succeeded")
	}
	lib, err := store.Storage().Library()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := lib.Layers()
	if err != nil || len(layers) != 0 {
		t.Errorf("layers left: %v %v", layers, err)
	}
	if _, err := store.Ensure(t.Context(), host+"/app", plainHTTP()); err != nil {
		t.Errorf("the next pull: %v", err)
	}
}
