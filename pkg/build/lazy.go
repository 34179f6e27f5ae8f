package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
	"go.podman.io/buildah/define"

	"github.com/rootless-pod/pod/pkg/build/store"
)

// containerUse says when working containers have to be made: see store.Options.
// What cannot be read here is built as buildah would do it.
func containerUse(files []containerfile, opts *define.BuildOptions) store.Options {
	if len(opts.SBOMScanOptions) > 0 {
		return store.Options{} // the scanner's container is used as soon as it is mounted
	}
	use := store.Options{Lazy: len(files) > 0}
	use.Shared = slices.ContainsFunc(opts.TransientRunMounts, refers)
	for _, file := range files {
		if file.root == nil {
			return store.Options{}
		}
		for _, node := range file.root.Children {
			switch strings.ToLower(node.Value) {
			case command.Volume, command.Onbuild:
				return store.Options{}
			}
			use.Shared = use.Shared || slices.ContainsFunc(node.Flags, refers)
		}
	}
	return use
}

// containerfile is one as its author wrote it; root is nil if it is not as simple
// as that.
type containerfile struct {
	name string
	root *parser.Node
}

// parsed reads Containerfiles; relative names are in dir.
func parsed(names []string, dir string) []containerfile {
	files := make([]containerfile, len(names))
	for i, name := range names {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		files[i] = containerfile{filepath.Base(path), instructions(path)}
	}
	return files
}

// instructions reads a Containerfile; it returns nil if that is not as simple as that.
func instructions(name string) *parser.Node {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || strings.HasSuffix(name, ".in") {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	root, err := imagebuilder.ParseDockerfile(f)
	if err != nil {
		return nil
	}
	return root
}

// refers says whether a flag of an instruction may name another stage or image.
func refers(flag string) bool { return strings.Contains(flag, "from=") || strings.Contains(flag, "$") }
