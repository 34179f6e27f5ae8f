package image

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"
)

// A pull that is killed while a layer comes in leaves a store that the next
// command uses, and nothing of the layer.
func TestKilledPull(t *testing.T) {
	var half sync.Once
	reached, release := make(chan struct{}), make(chan struct{})
	host := serve(t, false, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") && r.Method == http.MethodGet {
				first := false
				half.Do(func() { first = true })
				if first {
					w.Header().Set("Content-Length", "1000000")
					_, _ = w.Write(bytes.Repeat([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3}, 100))
					w.(http.Flusher).Flush()
					close(reached)
					<-release
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	push(t, host+"/app:latest", makeImage(t, "amd64", "killed"))
	store := newStore(t, Options{})

	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childPull+"="+host+"/app", "ROOT="+store.Storage().Root(),
		"RUNROOT="+store.Storage().RunRoot(), "POLICY="+store.opts.SignaturePolicy, "AUTH="+store.opts.Authfile)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case <-reached:
	case err := <-ended:
		close(release)
		t.Fatalf("the child ended too early: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended // "signal: killed", as asked
	close(release)

	hook := logrustest.NewLocal(logrus.StandardLogger())
	t.Cleanup(hook.Reset)
	if images, err := store.List(t.Context(), ListOptions{All: true}); err != nil || len(images) != 0 {
		t.Errorf("images: %v %v", images, err)
	}
	config, err := store.Ensure(t.Context(), host+"/app", plainHTTP())
	if err != nil {
		t.Fatalf("the next pull: %v", err)
	}
	if _, errs := store.Remove(t.Context(), []string{config.ID}, RemoveOptions{}); len(errs) > 0 {
		t.Fatal(errs)
	}
	lib, err := store.Storage().Library()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := lib.Layers()
	if err != nil || len(layers) != 0 {
		t.Errorf("layers left: %v %v", layers, err)
	}
	for _, entry := range hook.AllEntries() {
		if entry.Level <= logrus.ErrorLevel {
			t.Errorf("logged: %s", entry.Message)
		}
	}
	left, err := filepath.Glob(filepath.Join(store.Storage().Root(), "overlay", "*", "diff"))
	if err != nil || len(left) != 0 {
		t.Errorf("directories left: %v %v", left, err)
	}
}
