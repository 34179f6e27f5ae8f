// Package commit makes images of containers: it owns how the description of a container
// becomes the configuration of an image, and is the libpod.ImageMaker of the store of
// images. To find, pause and read the container is libpod's, which knows no images.
package commit

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.podman.io/image/v5/manifest"

	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Options say what image is made.
type Options struct {
	// Name of the image; empty leaves it without.
	Name                    string
	Author, Message, Format string
	// Changes are Containerfile instructions; Config is laid under them.
	Changes []string
	Config  *image.Config
	// IncludeVolumes makes the container's mounts volumes of the image.
	IncludeVolumes bool
	// Progress receives what happens, unless nil.
	Progress io.Writer
}

// Maker makes one image of a container. Its methods are called in their order.
type Maker struct {
	open   func() (*image.Store, error)
	opts   Options
	images *image.Store
	made   *image.CommitOptions
	layer  *image.Layer
}

// New returns what makes an image in the store that open opens.
func New(open func() (*image.Store, error), opts Options) *Maker {
	return &Maker{open: open, opts: opts}
}

// Describe checks what is asked and makes the configuration of an image of c on the
// image base, or if that is empty, on none. It changes nothing.
func (m *Maker) Describe(ctx context.Context, c *state.Container, base string) error {
	p := &c.Spec.Process
	made := &image.CommitOptions{
		Base: base, Name: m.opts.Name, Author: m.opts.Author, Message: m.opts.Message, Format: m.opts.Format,
		Progress:  m.opts.Progress,
		CreatedBy: strings.Join(slices.Concat(p.Entrypoint, p.Command), " "),
	}
	if err := image.CheckCommit(made); err != nil {
		return err
	}
	changes, err := image.ParseChanges(m.opts.Changes)
	if err != nil {
		return fmt.Errorf("--change: %w", err)
	}
	if m.images, err = m.open(); err != nil {
		return err
	}
	if c.ImageID != "" { // also without a base: its configuration is kept
		if made.Config, err = m.images.BaseConfig(ctx, c.ImageID); err != nil {
			return err
		}
	}
	containerConfig(&made.Config, c, m.opts.IncludeVolumes)
	if m.opts.Config != nil {
		image.MergeConfig(&made.Config, m.opts.Config)
	}
	image.MergeConfig(&made.Config, changes)
	m.made = made
	return nil
}

// containerConfig lays the description of a container over its image's.
func containerConfig(to *image.Config, c *state.Container, volumes bool) {
	p := &c.Spec.Process
	to.Env, to.Cmd, to.Entrypoint = p.Env, p.Command, p.Entrypoint
	to.User, to.WorkingDir, to.StopSignal = p.User, p.WorkDir, p.StopSignal
	to.Labels = maps.Clone(c.Spec.Labels)
	if c.Unit != "" {
		delete(to.Labels, policy.UnitName) // it is the container's, not that of what is made of it
	}
	to.Hostname, to.Domainname, to.Image = "", "", ""
	var over image.Config
	over.ExposedPorts = manifest.Schema2PortSet{}
	for _, exposed := range c.Spec.Network.Expose {
		if !strings.Contains(exposed, "/") {
			exposed += "/tcp"
		}
		over.ExposedPorts[manifest.Schema2Port(exposed)] = struct{}{}
	}
	for _, published := range c.Spec.Network.Ports {
		for i := range published.Range {
			port := strconv.Itoa(int(published.ContainerPort+i)) + "/" + published.Protocol
			over.ExposedPorts[manifest.Schema2Port(port)] = struct{}{}
		}
	}
	if volumes {
		over.Volumes = map[string]struct{}{}
		for _, m := range c.Spec.Storage.Mounts {
			if m.Type != "tmpfs" {
				over.Volumes[m.Destination] = struct{}{}
			}
		}
	}
	image.MergeConfig(to, &over)
}

// Spool keeps the archive of the layer, without the entries that drop names.
func (m *Maker) Spool(ctx context.Context, r io.Reader, drop func(*tar.Header) bool) (err error) {
	m.layer, err = m.images.Spool(ctx, r, drop)
	return err
}

// LayerID is the id that the layer will have in the store.
func (m *Maker) LayerID(ctx context.Context) (id string, err error) {
	m.made.LayerID, err = m.images.LayerID(ctx, m.layer, m.made.Base)
	return m.made.LayerID, err
}

// Commit makes the image and returns its id.
func (m *Maker) Commit(ctx context.Context) (string, error) {
	return m.images.Commit(ctx, m.layer, m.made)
}

// Close gives up what Spool has kept.
func (m *Maker) Close() error {
	if m.layer == nil {
		return nil
	}
	return m.layer.Close()
}
