package plugin

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve starts a plugin whose answers are given by method, and returns its socket.
func serve(t *testing.T, answers map[string]string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "p.sock")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := strings.TrimPrefix(r.URL.Path, "/")
		var body request
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		said, ok := answers[method]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(strings.ReplaceAll(said, "NAME", body.Name+body.ID)))
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

const hello = `{"Implements":["VolumeDriver"]}`

func TestPlugin(t *testing.T) {
	socket := serve(t, map[string]string{
		"Plugin.Activate":      hello,
		"VolumeDriver.Create":  `{}`,
		"VolumeDriver.Mount":   `{"Mountpoint":"/mnt/NAME"}`,
		"VolumeDriver.Unmount": `{}`,
		"VolumeDriver.Get":     `{"Volume":{"Name":"NAME","Status":{"a":1}}}`,
		"VolumeDriver.List":    `{"Volumes":[{"Name":"one"},null]}`,
		"VolumeDriver.Remove":  `{"Err":"no\nremoval of NAME"}`,
	})
	p := New("test", socket, 0)
	if err := p.Create(t.Context(), "one", nil); err != nil {
		t.Error(err)
	}
	if at, err := p.Mount(t.Context(), "one"); err != nil || at != "/mnt/onepod-one" {
		t.Errorf("mounted at %q, %v", at, err)
	}
	if err := p.Unmount(t.Context(), "one"); err != nil {
		t.Error(err)
	}
	if v, err := p.Get(t.Context(), "one"); err != nil || v.Name != "one" {
		t.Errorf("got %v, %v", v, err)
	}
	if all, err := p.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("listed %v, %v", all, err)
	}
	if err := p.Remove(t.Context(), "one"); err == nil || err.Error() != "volume plugin test: no removal of one" {
		t.Errorf("remove: %v", err)
	}
	if err := p.Remove(t.Context(), "two"); err != nil {
		t.Errorf("remove of one that is not there: %v", err)
	}
}

func TestPluginRefused(t *testing.T) {
	for _, test := range []struct {
		name, want string
		answers    map[string]string
	}{
		{"other kind", "not one for volumes", map[string]string{"Plugin.Activate": `{"Implements":["NetworkDriver"]}`}},
		{"no JSON", "no JSON", map[string]string{"Plugin.Activate": hello, "VolumeDriver.Mount": "<html>"}},
		{"status", "404", map[string]string{"Plugin.Activate": hello}},
		{"relative", "no absolute path", map[string]string{"Plugin.Activate": hello, "VolumeDriver.Mount": `{"Mountpoint":"x"}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New("test", serve(t, test.answers), 1).Mount(t.Context(), "one")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	_, err := New("test", filepath.Join(t.TempDir(), "none"), 1).List(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("without a socket: %v", err)
	}
}
