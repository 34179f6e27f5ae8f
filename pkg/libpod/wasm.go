package libpod

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// handlerAnnotation makes crun run a container by another handler than the
// kernel (crun(1)). The user's own stays; an image's never gets here.
const handlerAnnotation = "run.oci.handler"

// chooseHandler prepares a container whose image is for WebAssembly: crun is told
// to use its handler, in place of another runtime the configured one is taken.
// What the image says besides its platform has no say in it.
func (e *Engine) chooseHandler(spec *specgen.Container, img specgen.ImageConfig) error {
	if !isWasm(img.Platform) {
		return nil
	}
	name := spec.Runtime
	if name == "" {
		name = e.runtimeName()
	}
	if !isCrun(name) && spec.Runtime == "" && e.Runtime == "" {
		for _, platform := range []string{img.Platform, "wasi/wasm"} {
			if other := e.Config.Engine.PlatformToOCIRuntime[platform]; other != "" && spec.Runtime == "" {
				if _, err := ociruntime.Find(other, e.Config.Engine.OCIRuntimes); err == nil {
					spec.Runtime, name = other, other
				}
			}
		}
	}
	if !isCrun(name) {
		return fmt.Errorf("image %s is for %s, which %s cannot run: install crun and a WebAssembly library (Debian: libwasmedge0), or name a runtime that can with --runtime",
			img.Name, img.Platform, name)
	}
	if spec.Annotations[handlerAnnotation] == "" && filepath.Base(name) != "crun-wasm" { // which has it built in
		if spec.Annotations == nil {
			spec.Annotations = map[string]string{}
		}
		spec.Annotations[handlerAnnotation] = "wasm"
	}
	return nil
}

// explainHandler says what is missing when crun has the handler but not the library
// that it loads for it.
func explainHandler(err *ociruntime.Error) error {
	if strings.Contains(err.Message, "could not load `libwasm") {
		return fmt.Errorf("%w: install the library (Debian: libwasmedge0)", err)
	}
	return err
}

func isWasm(platform string) bool {
	os, arch, _ := strings.Cut(platform, "/")
	return (os == "wasi" || os == "wasip1") && strings.HasPrefix(arch, "wasm")
}

func isCrun(runtime string) bool { return strings.HasPrefix(filepath.Base(runtime), "crun") }
