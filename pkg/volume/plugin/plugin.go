// Package plugin speaks the protocol of docker's volume plugins: requests of JSON
// over HTTP on a unix socket. It owns the protocol; which plugins there are, and when
// a volume is mounted, is the caller's.
package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// defaultTimeout bounds a request: podman's default too.
	defaultTimeout = 5 * time.Second
	// maxAnswer bounds an answer in bytes.
	maxAnswer = 4 << 20
	// mediaType is that of the protocol's version.
	mediaType = "application/vnd.docker.plugins.v1.1+json"
)

// Plugin is a volume plugin.
type Plugin struct {
	name   string
	socket string
	client *http.Client
}

// Volume is what a plugin says of a volume.
type Volume struct {
	Name       string
	Mountpoint string
	Status     map[string]any
}

// New returns the plugin that listens on a socket; nothing is asked of it yet.
// timeout is in seconds, 0 is the default.
func New(name, socket string, timeout uint) *Plugin {
	limit := defaultTimeout
	if timeout > 0 {
		limit = time.Duration(timeout) * time.Second //nolint:gosec // a setting of seconds
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Plugin{name: name, socket: socket, client: &http.Client{
		Timeout: limit, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}}
}

// request is what the protocol's requests hold.
type request struct {
	Name string            `json:",omitempty"`
	ID   string            `json:",omitempty"`
	Opts map[string]string `json:",omitempty"`
}

// answer is what its answers hold.
type answer struct {
	Err        string
	Mountpoint string
	Implements []string
	Volume     *Volume
	Volumes    []*Volume
}

// caller names pod in mount and unmount. There is one mount of a volume at most, so
// that one more request after a kill is not one too many.
func caller(volume string) string { return "pod-" + volume }

// Create makes a volume.
func (p *Plugin) Create(ctx context.Context, name string, opts map[string]string) error {
	_, err := p.ask(ctx, "VolumeDriver.Create", request{Name: name, Opts: opts})
	return err
}

// Remove removes a volume. One that the plugin does not have is no error: what was to
// be done is done.
func (p *Plugin) Remove(ctx context.Context, name string) error {
	have, err := p.List(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(have, func(v *Volume) bool { return v.Name == name }) {
		return nil
	}
	_, err = p.ask(ctx, "VolumeDriver.Remove", request{Name: name})
	return err
}

// Mount has the plugin mount a volume, and says where on the host.
func (p *Plugin) Mount(ctx context.Context, name string) (string, error) {
	got, err := p.ask(ctx, "VolumeDriver.Mount", request{Name: name, ID: caller(name)})
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(got.Mountpoint) {
		return "", fmt.Errorf("volume plugin %s mounted volume %s at %q, which is no absolute path", p.name, name, got.Mountpoint)
	}
	return got.Mountpoint, nil
}

// Unmount takes the mount back.
func (p *Plugin) Unmount(ctx context.Context, name string) error {
	_, err := p.ask(ctx, "VolumeDriver.Unmount", request{Name: name, ID: caller(name)})
	return err
}

// Get says what the plugin knows of a volume.
func (p *Plugin) Get(ctx context.Context, name string) (*Volume, error) {
	got, err := p.ask(ctx, "VolumeDriver.Get", request{Name: name})
	if err != nil {
		return nil, err
	}
	if got.Volume == nil || got.Volume.Name != name {
		return nil, fmt.Errorf("volume plugin %s has told nothing of volume %s", p.name, name)
	}
	return got.Volume, nil
}

// List says which volumes the plugin has.
func (p *Plugin) List(ctx context.Context) ([]*Volume, error) {
	got, err := p.ask(ctx, "VolumeDriver.List", request{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(got.Volumes, func(v *Volume) bool { return v == nil }), nil
}

// ask makes a request, after the plugin has said that it is one for volumes.
func (p *Plugin) ask(ctx context.Context, method string, body request) (*answer, error) {
	hello, err := p.post(ctx, "Plugin.Activate", request{})
	if err != nil {
		return nil, err
	}
	if !slices.Contains(hello.Implements, "VolumeDriver") {
		return nil, fmt.Errorf("plugin %s at %s is not one for volumes, but for %s", p.name, p.socket, strings.Join(hello.Implements, ", "))
	}
	return p.post(ctx, method, body)
}

func (p *Plugin) post(ctx context.Context, method string, body request) (*answer, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode request %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/"+method, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("ask volume plugin %s: %w", p.name, err)
	}
	req.Header.Set("Accept", mediaType)
	req.Header.Set("Content-Type", mediaType)
	resp, err := p.client.Do(req)
	if err != nil {
		var inner net.Error
		if errors.As(err, &inner) && inner.Timeout() {
			return nil, fmt.Errorf("volume plugin %s at %s does not answer %s: see volume_plugin_timeout in containers.conf", p.name, p.socket, method)
		}
		return nil, fmt.Errorf("volume plugin %s at %s cannot be reached: %w: is it running?", p.name, p.socket, err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of volume plugin %s: %w", p.name, err)
	}
	var out answer
	decodeErr := json.Unmarshal(said, &out)
	switch {
	case out.Err != "":
		return nil, fmt.Errorf("volume plugin %s: %s", p.name, strings.Join(strings.Fields(out.Err), " "))
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("volume plugin %s answers %s with %s", p.name, method, resp.Status)
	case decodeErr != nil:
		return nil, fmt.Errorf("volume plugin %s answers %s with what is no JSON: %w", p.name, method, decodeErr)
	}
	return &out, nil
}
