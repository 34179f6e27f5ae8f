package image

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
)

func TestMergeConfig(t *testing.T) {
	c := Config{
		User: "1", Env: []string{"A=1", "B=2"}, Cmd: []string{"old"}, Labels: map[string]string{"l": "v"},
		Volumes: map[string]struct{}{"/v": {}},
	}
	over, err := ParseChanges([]string{`CMD ["new","word"]`, "ENV B=3", "ENV C=4", "LABEL m=w", "VOLUME /w", "USER 2", "EXPOSE 80", "ONBUILD RUN x"})
	if err != nil {
		t.Fatal(err)
	}
	MergeConfig(&c, over)
	want := Config{
		User: "2", Env: []string{"A=1", "B=3", "C=4"}, Cmd: []string{"new", "word"}, Labels: map[string]string{"l": "v", "m": "w"},
		Volumes: map[string]struct{}{"/v": {}, "/w": {}}, ExposedPorts: manifest.Schema2PortSet{"80/tcp": {}}, OnBuild: []string{"RUN x"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	for _, bad := range []string{"RUN x", "CMD", "EXPOSE x", "ENV"} {
		if _, err := ParseChanges([]string{bad}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestCompose: configuration and manifest agree with each other and with the
// layers, in both formats.
func TestCompose(t *testing.T) {
	below := []layerInfo{{digest.FromString("one"), 1}, {digest.FromString("two"), 2}}
	top := layerInfo{digest.FromString("three"), 3}
	now := time.Unix(1e9, 0).UTC()
	base := &manifest.Schema2Image{History: []manifest.Schema2History{{CreatedBy: "base"}, {CreatedBy: "empty", EmptyLayer: true}, {CreatedBy: "two"}}}
	base.Architecture, base.OS = "arm64", "linux"
	tests := []struct {
		name    string
		base    *manifest.Schema2Image
		below   []layerInfo
		format  string
		history int
		arch    string
	}{
		{"oci", base, below, FormatOCI, 4, "arm64"},
		{"docker", base, below, FormatDocker, 4, "arm64"},
		{"one layer", nil, nil, FormatOCI, 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			docs, err := compose(tt.base, tt.below, top, &CommitOptions{Format: tt.format, Author: "me", Config: Config{User: "7"}}, now)
			if err != nil {
				t.Fatal(err)
			}
			var config ociv1.Image
			var m ociv1.Manifest
			if err := json.Unmarshal(docs.config, &config); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(docs.manifest, &m); err != nil {
				t.Fatal(err)
			}
			if m.Config.Digest != digest.FromBytes(docs.config) || m.Config.Size != int64(len(docs.config)) || m.Config.Digest.Encoded() != docs.id {
				t.Error("the manifest names another configuration")
			}
			if config.Config.User != "7" || config.Author != "me" || tt.arch != "" && config.Architecture != tt.arch {
				t.Errorf("configuration %s", docs.config)
			}
			if len(config.History) != tt.history || len(m.Layers) != len(tt.below)+1 || len(config.RootFS.DiffIDs) != len(m.Layers) {
				t.Errorf("%d steps, %d layers, %d diff ids", len(config.History), len(m.Layers), len(config.RootFS.DiffIDs))
			}
			for i, l := range m.Layers {
				if l.Digest != config.RootFS.DiffIDs[i] {
					t.Errorf("layer %d is %s, %s in the configuration", i, l.Digest, config.RootFS.DiffIDs[i])
				}
			}
		})
	}
}
