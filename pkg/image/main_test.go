package image

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.podman.io/storage/pkg/reexec"

	"github.com/rootless-pod/pod/pkg/storage"
)

// childPull makes this binary pull an image instead of running tests: the
// victim of TestKilledPull.
const childPull = "POD_TEST_PULL"

// The library unpacks layers in a child of the same binary.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	if ref := os.Getenv(childPull); ref != "" {
		if err := pullAsChild(ref); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // a process of its own
		}
		return
	}
	m.Run()
}

func pullAsChild(ref string) error {
	ctx := context.Background()
	layers, _, err := storage.Open(ctx, storage.Options{
		Root: os.Getenv("ROOT"), RunRoot: os.Getenv("RUNROOT"),
		Rootless: os.Getenv("_CONTAINERS_ROOTLESS_UID") != "",
	})
	if err != nil {
		return err
	}
	store, err := New(layers, Options{SignaturePolicy: os.Getenv("POLICY"), Authfile: os.Getenv("AUTH")})
	if err != nil {
		return err
	}
	_, err = store.Pull(ctx, ref, plainHTTP())
	return err
}
