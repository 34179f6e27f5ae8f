package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rootless-pod/pod/internal/testregistry"
)

// registry [-tls] [-auth USER:PASSWORD] [-lies] [-search FILE] [-flaky N] starts a registry on loopback
// that lives as long as the script, and puts its address into $REGISTRY. A
// plain one is put into the user's registries.conf.d as insecure. With -tls
// its certificate is in $WORK/certs/ca.crt, for --cert-dir. With -lies every
// blob it serves has a flipped bit. With -search it answers /v1/search with those
// elements of FILE's JSON array whose name contains the term. With -flaky the first N
// manifests that are put or asked for are answered with 503.
func registryCommand(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("registry", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	tls := flags.Bool("tls", false, "")
	auth := flags.String("auth", "", "")
	lies := flags.Bool("lies", false, "")
	search := flags.String("search", "", "")
	flaky := flags.Int("flaky", 0, "")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() != 0 {
		ts.Fatalf("usage: registry [-tls] [-auth USER:PASSWORD] [-lies] [-search FILE] [-flaky N]")
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	boxOf(ts).registry = handler // images are pushed past password and TLS
	boxOf(ts).wicked = &sync.Map{}
	handler = wickedly(boxOf(ts), handler)
	if *lies {
		handler = lying(handler)
	}
	if *flaky > 0 {
		handler = unreliable(handler, *flaky)
	}
	if *search != "" {
		handler = searchable(handler, []byte(ts.ReadFile(*search)))
	}
	if *auth != "" {
		handler = guarded(handler, *auth)
	}
	handler = boxOf(ts).gate.guard(handler)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if *tls {
		server.StartTLS()
		ts.Check(os.MkdirAll(ts.MkAbs("certs"), 0o755))
		block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
		ts.Check(os.WriteFile(ts.MkAbs("certs/ca.crt"), pem.EncodeToMemory(block), 0o600))
	} else {
		server.Start()
	}
	ts.Defer(server.Close)
	address := server.Listener.Addr().String()
	ts.Setenv("REGISTRY", address)
	if !*tls {
		dir := filepath.Join(ts.Getenv("HOME"), ".config/containers/registries.conf.d")
		ts.Check(os.MkdirAll(dir, 0o755))
		conf := fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", address)
		ts.Check(os.WriteFile(filepath.Join(dir, "e2e.conf"), []byte(conf), 0o600))
	}
}

func guarded(next http.Handler, credentials string) http.Handler {
	wantUser, wantPassword, _ := strings.Cut(credentials, ":")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok || user != wantUser || password != wantPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="e2e"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// lying damages blobs on their way out, as a broken disk or proxy would.
func lying(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/sha256:") {
			next.ServeHTTP(w, r)
			return
		}
		reply := httptest.NewRecorder()
		next.ServeHTTP(reply, r)
		body := reply.Body.Bytes()
		if len(body) > 0 {
			body[len(body)-1] ^= 1
		}
		maps.Copy(w.Header(), reply.Header())
		w.WriteHeader(reply.Code)
		_, _ = w.Write(body)
	})
}

// unreliable is out of order for the first n manifests.
func unreliable(next http.Handler, n int) http.Handler {
	var left atomic.Int64
	left.Store(int64(n))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") && left.Add(-1) >= 0 {
			http.Error(w, "out of order", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// searchable adds the search of old registries.
func searchable(next http.Handler, index []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/search" {
			next.ServeHTTP(w, r)
			return
		}
		var all, found []map[string]any
		if err := json.Unmarshal(index, &all); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		for _, item := range all {
			if name, ok := item["name"].(string); ok && strings.Contains(name, r.URL.Query().Get("q")) {
				found = append(found, item)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"results": found})
	})
}

// push puts an image into the script's registry.
func push(ts *testscript.TestScript, img v1.Image, ref string) error {
	handler := boxOf(ts).registry
	if handler == nil {
		return fmt.Errorf("push %s: start a registry first", ref)
	}
	return testregistry.Push(context.Background(), testregistry.Client(handler), "registry/"+ref, img)
}
