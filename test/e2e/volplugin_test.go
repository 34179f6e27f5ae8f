package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// volplugin NAME serves a volume plugin at $WORK/NAME.sock as long as the script runs. Its
// volumes are directories below $WORK/NAME; $WORK/NAME.log has what was asked, a request a
// line. A volume called bad cannot be mounted.
func volPlugin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: volplugin NAME")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	p := &volumePlugin{dir: dir}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", dir+".sock")
	ts.Check(err)
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }()
	ts.Defer(func() { _ = server.Close() })
}

type volumePlugin struct {
	dir string
	mu  sync.Mutex
}

// ServeHTTP answers one request.
func (p *volumePlugin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ask struct {
		Name, ID string
		Opts     map[string]string
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	method := strings.TrimPrefix(r.URL.Path, "/VolumeDriver.")
	answer, err := p.answer(method, ask.Name)
	if method != "/Plugin.Activate" {
		if log, err := os.OpenFile(p.dir+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			fmt.Fprintln(log, strings.TrimSpace(strings.Join([]string{method, ask.Name, ask.ID, ask.Opts["o"]}, " ")))
			_ = log.Close()
		}
	}
	if err != nil {
		answer = map[string]any{"Err": err.Error()}
		w.WriteHeader(http.StatusInternalServerError)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *volumePlugin) answer(method, name string) (map[string]any, error) {
	at := filepath.Join(p.dir, name)
	one := map[string]any{"Name": name, "Status": map[string]any{"kind": "test"}}
	switch method {
	case "/Plugin.Activate":
		return map[string]any{"Implements": []string{"VolumeDriver"}}, nil
	case "Create":
		return map[string]any{}, os.MkdirAll(at, 0o755)
	case "Remove":
		return map[string]any{}, os.RemoveAll(at)
	case "Mount":
		if name == "bad" {
			return nil, fmt.Errorf("no such\nshare")
		}
		return map[string]any{"Mountpoint": at}, nil
	case "Unmount":
		return map[string]any{}, nil
	case "Get":
		return map[string]any{"Volume": one}, nil
	case "List":
		entries, err := os.ReadDir(p.dir)
		list := []map[string]any{}
		for _, e := range entries {
			list = append(list, map[string]any{"Name": e.Name()})
		}
		return map[string]any{"Volumes": list}, err
	}
	return nil, fmt.Errorf("unknown method %s", method)
}
