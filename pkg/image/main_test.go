package image

import (
	"testing"

	"go.podman.io/storage/pkg/reexec"
)

// The library unpacks layers in a child of the same binary.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	m.Run()
}
