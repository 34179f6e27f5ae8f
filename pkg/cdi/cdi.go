// Package cdi finds devices by their names in CDI specifications (Container
// Device Interface) and puts what these say into a container's specification.
// It takes the format and the rules of names from the interface's own modules;
// it does not take that project's cache, which watches directories and costs
// every start of the program compiled expressions. A specification is trusted as
// its directory is: the administrator's, or one that the user named.
package cdi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
	"tags.cncf.io/container-device-interface/pkg/parser"
	specs "tags.cncf.io/container-device-interface/specs-go"
)

// Registry is what the specifications of some directories offer.
type Registry struct {
	dirs    []string
	devices map[string]device
	// broken are specifications that cannot be used, in words.
	broken []string
}

// device is one device and the specification it is from.
type device struct {
	spec  *specs.Spec
	edits *specs.ContainerEdits
	path  string
	// rank is the place of its directory: devices of later ones win.
	rank int
	// rival is another specification of the same rank with the same device.
	rival string
}

// IsName says whether s names a device as CDI does: VENDOR/CLASS=NAME.
func IsName(s string) bool { return parser.IsQualifiedName(s) }

// Load reads the specifications of directories, of which later ones win. One
// that is wrong is left out; it is named if a device cannot be found.
func Load(dirs []string) *Registry {
	r := &Registry{dirs: dirs, devices: map[string]device{}}
	for rank, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				r.broken = append(r.broken, err.Error())
			}
			continue
		}
		for _, entry := range entries {
			ext := filepath.Ext(entry.Name())
			if entry.IsDir() || ext != ".json" && ext != ".yaml" {
				continue
			}
			path := filepath.Join(dir, entry.Name())
			spec, err := read(path)
			if err != nil {
				r.broken = append(r.broken, fmt.Sprintf("%s: %v", path, err))
				continue
			}
			r.add(spec, path, rank)
		}
	}
	return r
}

func (r *Registry) add(spec *specs.Spec, path string, rank int) {
	for i := range spec.Devices {
		name := spec.Kind + "=" + spec.Devices[i].Name
		d := device{spec: spec, edits: &spec.Devices[i].ContainerEdits, path: path, rank: rank}
		if old, ok := r.devices[name]; ok && old.rank == rank {
			d.rival = old.path
		}
		r.devices[name] = d
	}
}

// read reads and checks one specification.
func read(path string) (*specs.Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	var spec specs.Spec
	if err := yaml.UnmarshalStrict(data, &spec); err != nil {
		return nil, err
	}
	if err := specs.ValidateVersion(&spec); err != nil {
		return nil, err
	}
	vendor, class := parser.ParseQualifier(spec.Kind)
	if err := errors.Join(parser.ValidateVendorName(vendor), parser.ValidateClassName(class)); err != nil {
		return nil, err
	}
	if err := check(&spec.ContainerEdits); err != nil {
		return nil, err
	}
	for i := range spec.Devices {
		d := &spec.Devices[i]
		err := parser.ValidateDeviceName(d.Name)
		if err == nil {
			err = check(&d.ContainerEdits)
		}
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", d.Name, err)
		}
	}
	return &spec, nil
}

// check refuses edits that say too little, or nothing that is known.
func check(e *specs.ContainerEdits) error {
	for _, env := range e.Env {
		if strings.IndexByte(env, '=') <= 0 {
			return fmt.Errorf("environment variable %q is not NAME=VALUE", env)
		}
	}
	for _, d := range e.DeviceNodes {
		if !filepath.IsAbs(d.Path) || !slices.Contains([]string{"", "b", "c", "u", "p"}, d.Type) || strings.Trim(d.Permissions, "rwm") != "" {
			return fmt.Errorf("device node %q of type %q with permissions %q is none", d.Path, d.Type, d.Permissions)
		}
	}
	for _, m := range e.Mounts {
		if m.HostPath == "" || !filepath.IsAbs(m.ContainerPath) {
			return fmt.Errorf("mount of %q at %q lacks a path", m.HostPath, m.ContainerPath)
		}
	}
	for _, h := range e.Hooks {
		if h.Path == "" || !slices.Contains(stages(), h.HookName) {
			return fmt.Errorf("hook %q for %q is none", h.Path, h.HookName)
		}
	}
	return nil
}

// Check returns one error that names all devices which are not there.
func (r *Registry) Check(names []string) error {
	var unknown []string
	for _, name := range names {
		d, ok := r.devices[name]
		if !ok {
			unknown = append(unknown, name)
		} else if d.rival != "" {
			return fmt.Errorf("conflicting CDI device %s: both %s and %s have it: remove one", name, d.rival, d.path)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	reason := "no specification in " + strings.Join(r.dirs, ", ") + " has it: `pod --cdi-spec-dir DIR` adds a directory"
	if len(r.broken) > 0 {
		reason = "these specifications cannot be used: " + strings.Join(r.broken, "; ")
	}
	return fmt.Errorf("unresolvable CDI devices %s: %s", strings.Join(unknown, ", "), reason)
}

// GPUs turns entries of --gpus into names: "all", or names of devices of the
// first vendor in the field's order that has any.
func (r *Registry) GPUs(entries []string) ([]string, error) {
	for _, kind := range []string{"nvidia.com/gpu", "amd.com/gpu"} {
		for name := range r.devices {
			if strings.HasPrefix(name, kind+"=") {
				names := make([]string, len(entries))
				for i, entry := range entries {
					names[i] = kind + "=" + strings.TrimPrefix(entry, "device=") // docker's word
				}
				return names, r.Check(names)
			}
		}
	}
	return nil, fmt.Errorf("--gpus: unresolvable CDI devices nvidia.com/gpu, amd.com/gpu: no specification in %s describes a GPU: "+
		"`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` makes one", strings.Join(r.dirs, ", "))
}
