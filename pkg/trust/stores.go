package trust

import (
	"fmt"
	"io"
	"maps"
	"strings"

	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/unshare"
	"sigs.k8s.io/yaml"
)

// store is where the signatures of a namespace are.
type store struct {
	Lookaside string `json:"lookaside"`
	SigStore  string `json:"sigstore"`
}

// stores is what registries.d says, of all its files.
type stores struct {
	Default *store           `json:"default-docker"`
	Docker  map[string]store `json:"docker"`
}

// readStores reads registries.d, or the directory that replaces it.
func readStores(dir string) (*stores, error) {
	all := &stores{Docker: map[string]store{}}
	files := &configfile.File{
		Name: "registries", Extension: "yaml", DoNotLoadMainFiles: true, DoNotUseExtensionForConfigName: true,
		UserId: unshare.GetRootlessUID(), CustomConfigFileDropInDirectory: dir,
	}
	for item, err := range configfile.Read(files) {
		if err != nil {
			return nil, fmt.Errorf("read registries.d: %w", err)
		}
		raw, err := io.ReadAll(io.LimitReader(item.Reader, maxFile))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", item.Name, err)
		}
		var one stores
		if err := yaml.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("read %s: %w", item.Name, err)
		}
		if one.Default != nil {
			all.Default = one.Default
		}
		maps.Copy(all.Docker, one.Docker)
	}
	return all, nil
}

// lookaside is the store of a scope: its own, that of the nearest parent, or the
// default.
func (s *stores) lookaside(scope string) string {
	for name := scope; name != ""; {
		if where, ok := s.Docker[name]; ok && where.path() != "" {
			return where.path()
		}
		cut := strings.LastIndexAny(name, "/:")
		if cut < 0 {
			break
		}
		name = name[:cut]
	}
	if s.Default != nil {
		return s.Default.path()
	}
	return ""
}

func (s store) path() string {
	if s.Lookaside != "" {
		return s.Lookaside
	}
	return s.SigStore
}
