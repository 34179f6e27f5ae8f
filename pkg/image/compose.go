package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/manifest"

	"github.com/rootless-pod/pod/pkg/image/basic"
)

// The formats of Commit.
const (
	FormatOCI    = "oci"
	FormatDocker = "docker"
)

// Config is what an image says of the containers made of it.
type Config = manifest.Schema2Config

// ParseConfig reads a configuration that a user wrote (commit --config).
func ParseConfig(raw []byte) (*Config, error) {
	if len(raw) > basic.MaxConfig {
		return nil, errors.New("it is larger than 4 MiB")
	}
	out := &Config{}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, err
	}
	return out, nil
}

// ParseChanges reads Containerfile instructions: CMD, ENV, LABEL and the like.
func ParseChanges(changes []string) (*Config, error) {
	read, err := libimage.ImageConfigFromChanges(changes)
	if err != nil {
		return nil, err
	}
	out := &Config{
		User: read.User, Env: read.Env, Entrypoint: read.Entrypoint, Cmd: read.Cmd, Volumes: read.Volumes,
		WorkingDir: read.WorkingDir, Labels: read.Labels, StopSignal: read.StopSignal, OnBuild: read.OnBuild,
	}
	for port := range read.ExposedPorts {
		if out.ExposedPorts == nil {
			out.ExposedPorts = manifest.Schema2PortSet{}
		}
		out.ExposedPorts[manifest.Schema2Port(port)] = struct{}{}
	}
	return out, nil
}

// MergeConfig lays what is set in over on top of c: words replace, lists of names
// are joined.
func MergeConfig(c *Config, over *Config) {
	for _, f := range []struct{ to, from *string }{
		{&c.User, &over.User},
		{&c.WorkingDir, &over.WorkingDir},
		{&c.StopSignal, &over.StopSignal},
		{&c.Hostname, &over.Hostname},
		{&c.Domainname, &over.Domainname},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	if over.Cmd != nil {
		c.Cmd = over.Cmd
	}
	if over.Entrypoint != nil {
		c.Entrypoint = over.Entrypoint
	}
	if over.Shell != nil {
		c.Shell = over.Shell
	}
	if over.Healthcheck != nil {
		c.Healthcheck = over.Healthcheck
	}
	c.OnBuild = append(c.OnBuild, over.OnBuild...)
	c.Env = mergeEnv(c.Env, over.Env)
	c.Labels = join(c.Labels, over.Labels)
	c.Volumes = join(c.Volumes, over.Volumes)
	c.ExposedPorts = join(c.ExposedPorts, over.ExposedPorts)
}

func join[M ~map[K]V, K comparable, V any](a, b M) M {
	if len(b) == 0 {
		return a
	}
	out := maps.Clone(a)
	if out == nil {
		out = M{}
	}
	maps.Copy(out, b)
	return out
}

// mergeEnv joins variables; a later one replaces an earlier one in its place.
func mergeEnv(env, over []string) []string {
	out := slices.Clone(env)
	for _, e := range over {
		name, _, _ := strings.Cut(e, "=")
		at := slices.IndexFunc(out, func(have string) bool { return strings.HasPrefix(have, name+"=") })
		if at < 0 {
			out = append(out, e)
			continue
		}
		out[at] = e
	}
	return out
}

// layerInfo is one layer of a new image, unpacked.
type layerInfo struct {
	digest digest.Digest
	size   int64
}

// documents are the two JSON documents of an image.
type documents struct {
	config, manifest []byte
	id               string
	digest           digest.Digest
}

// compose makes the documents of an image that has one layer more than base, or
// only that one.
func compose(base *manifest.Schema2Image, below []layerInfo, top layerInfo, o *CommitOptions, now time.Time) (documents, error) {
	img := manifest.Schema2Image{}
	if base != nil {
		img = *base
	}
	img.ID, img.Parent, img.Schema2V1Image.Parent, img.Container = "", "", "", ""
	img.Created, img.Author, img.Comment, img.Config = now, o.Author, o.Message, &o.Config
	img.ContainerConfig, img.DockerVersion, img.Size = manifest.Schema2Config{}, "", 0
	if img.Architecture == "" {
		img.Architecture = runtime.GOARCH
	}
	if img.OS == "" {
		img.OS = runtime.GOOS
	}
	layers := append(slices.Clone(below), top)
	img.RootFS = &manifest.Schema2RootFS{Type: "layers"}
	for _, l := range layers {
		img.RootFS.DiffIDs = append(img.RootFS.DiffIDs, l.digest)
	}
	if len(below) == 0 {
		img.History = nil
	}
	img.History = append(slices.Clone(img.History), manifest.Schema2History{
		Created: now, Author: o.Author, CreatedBy: o.CreatedBy, Comment: o.Message,
	})
	if o.Format == FormatDocker {
		return dockerDocuments(&img, layers, o)
	}
	return ociDocuments(&img, layers)
}

func dockerDocuments(img *manifest.Schema2Image, layers []layerInfo, o *CommitOptions) (documents, error) {
	img.ContainerConfig = o.Config
	config, err := json.Marshal(img)
	if err != nil {
		return documents{}, fmt.Errorf("encode the image's configuration: %w", err)
	}
	var list []manifest.Schema2Descriptor
	for _, l := range layers {
		list = append(list, manifest.Schema2Descriptor{MediaType: manifest.DockerV2SchemaLayerMediaTypeUncompressed, Size: l.size, Digest: l.digest})
	}
	m := manifest.Schema2FromComponents(manifest.Schema2Descriptor{
		MediaType: manifest.DockerV2Schema2ConfigMediaType, Size: int64(len(config)), Digest: digest.FromBytes(config),
	}, list)
	return sealed(config, m)
}

func ociDocuments(img *manifest.Schema2Image, layers []layerInfo) (documents, error) {
	out := ociv1.Image{
		Created: &img.Created, Author: img.Author,
		Platform: ociv1.Platform{
			Architecture: img.Architecture, OS: img.OS, Variant: img.Variant, OSVersion: img.OSVersion, OSFeatures: img.OSFeatures,
		},
		Config: ociv1.ImageConfig{
			User: img.Config.User, Env: img.Config.Env, Entrypoint: img.Config.Entrypoint, Cmd: img.Config.Cmd,
			Volumes: img.Config.Volumes, WorkingDir: img.Config.WorkingDir, Labels: img.Config.Labels, StopSignal: img.Config.StopSignal,
		},
		RootFS: ociv1.RootFS{Type: "layers", DiffIDs: img.RootFS.DiffIDs},
	}
	for port := range img.Config.ExposedPorts {
		if out.Config.ExposedPorts == nil {
			out.Config.ExposedPorts = map[string]struct{}{}
		}
		out.Config.ExposedPorts[string(port)] = struct{}{}
	}
	for _, h := range img.History {
		created := h.Created
		out.History = append(out.History, ociv1.History{
			Created: &created, Author: h.Author, CreatedBy: h.CreatedBy, Comment: h.Comment, EmptyLayer: h.EmptyLayer,
		})
	}
	config, err := json.Marshal(out)
	if err != nil {
		return documents{}, fmt.Errorf("encode the image's configuration: %w", err)
	}
	m := ociv1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ociv1.MediaTypeImageManifest,
		Config: ociv1.Descriptor{MediaType: ociv1.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, ociv1.Descriptor{MediaType: ociv1.MediaTypeImageLayer, Digest: l.digest, Size: l.size})
	}
	return sealed(config, m)
}

func sealed(config []byte, m any) (documents, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return documents{}, fmt.Errorf("encode the image's manifest: %w", err)
	}
	raw = bytes.TrimSpace(raw)
	return documents{config: config, manifest: raw, id: digest.FromBytes(config).Encoded(), digest: digest.FromBytes(raw)}, nil
}
