// Package reference knows which names of images a registry can be asked for. It is
// apart from package policy because it stands on the image library, which costs each
// program that links it some of its start.
package reference

import (
	"fmt"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/transports/alltransports"
)

// Check refuses an image of which no registry can be asked for a newer one: where a
// short name leads to may change, and an archive is in no registry.
func Check(image string) error {
	ref, err := alltransports.ParseImageName(image)
	if err == nil {
		if name := ref.Transport().Name(); name != docker.Transport.Name() {
			return fmt.Errorf("auto updates require the docker image transport but image is of transport %q", name)
		}
		return nil
	}
	if shortnames.IsShortName(image) {
		return fmt.Errorf("short name: auto updates require fully-qualified image reference: %q", image)
	}
	return nil
}
