package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestLight: what quick links is initialised by each start of a hot command. These are
// what it is there to be without.
func TestLight(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skip("no go command here:", err)
	}
	for _, heavy := range []string{
		"github.com/distribution/reference", "github.com/rootless-pod/pod/pkg/build", "github.com/rootless-pod/pod/pkg/image",
		"go.podman.io/buildah", "go.podman.io/common/libimage", "go.podman.io/image/v5/docker/reference", "google.golang.org/grpc",
		"google.golang.org/protobuf/proto", "html/template",
	} {
		for line := range strings.Lines(string(out)) {
			if strings.TrimSpace(line) == heavy {
				t.Errorf("quick links %s: see `go list -deps ./cmd/quick` and find who imports it", heavy)
			}
		}
	}
}
