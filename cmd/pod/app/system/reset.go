package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/spf13/cobra"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

func newReset(a *cli.App) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "reset [options]", Short: "Reset the store to its first state",
		Long: "Stop and remove all containers, and delete all networks, volumes and images of the store, also those that\n" +
			"podman, buildah or skopeo put there. Configuration files stay.",
		Example: "  pod system reset\n  pod --root /tmp/store system reset --force",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runReset(cmd.Context(), a, force) },
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Do not prompt for confirmation")
	return cmd
}

func runReset(ctx context.Context, a *cli.App, force bool) error {
	paths, err := storage.Locate(a.StorageOptions())
	if err != nil {
		return err
	}
	if !force {
		warning := "WARNING! This will remove:\n        - all containers\n        - all images\n        - all networks\n        - all volumes\n" +
			"of the store " + paths.Root + ", also those of podman, buildah and skopeo.\n"
		fmt.Fprintln(a.Out, warning)
		if yes, err := a.Confirmed(); err != nil || !yes {
			return err
		}
	}
	if err := checkStore(paths.Root); err != nil {
		return err
	}
	runDir, err := emptyStore(ctx, a)
	if err != nil {
		return err
	}
	// The run root is not emptied: other stores of the user live there too.
	return errors.Join(wipe(paths.Root), wipe(runDir))
}

// checkStore refuses a directory that never was a store: a wrong --root must
// not cost a home directory.
func checkStore(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reset %s: %w", root, err)
	}
	for _, entry := range entries {
		if name := entry.Name(); name == "storage.lock" || strings.HasSuffix(name, "-images") || strings.HasSuffix(name, "-layers") {
			return nil
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds files but is no store of images and containers: nothing was removed; check --root", root)
	}
	return nil
}

// emptyStore ends what runs and takes the store's mounts away. What is too
// damaged to be opened is only deleted. It returns pod's run directory.
func emptyStore(ctx context.Context, a *cli.App) (string, error) {
	runDir := ""
	e, err := a.Engine(ctx)
	if err != nil {
		a.Warn("reset goes on without the records: %v", err)
	} else {
		info, err := e.Info(ctx)
		if err != nil {
			return "", err
		}
		runDir = info.RunDir
		if err := removeAll(ctx, e); err != nil {
			return "", err
		}
		if _, err := e.PruneNetworks(ctx, nil); err != nil {
			return "", err
		}
	}
	lib, err := storesLibrary(ctx, a)
	if err != nil {
		a.Warn("reset goes on without the store: %v", err)
		return runDir, nil
	}
	if _, err := lib.Shutdown(true); err != nil {
		return "", fmt.Errorf("unmount the store: %w", err)
	}
	return runDir, nil
}

// storesLibrary is the store as the library has it.
func storesLibrary(ctx context.Context, a *cli.App) (cstorage.Store, error) {
	store, err := a.Storage(ctx)
	if err != nil {
		return nil, err
	}
	return store.Library()
}

func removeAll(ctx context.Context, e *libpod.Engine) error {
	all, err := e.List(ctx, nil)
	if err != nil {
		return err
	}
	var failed cli.Many
	for _, c := range all {
		if _, err := e.RemoveWithPod(ctx, c.ID, libpod.RemoveOptions{Force: true, Volumes: true, Needed: true}); err != nil && !gone(err) {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

// gone says that a container went with its pod.
func gone(err error) bool {
	var absent state.ErrNoContainer
	return errors.As(err, &absent)
}

// wipe empties a directory, which may be a mount of its own and stays. It does
// not enter anything that is still mounted below it.
func wipe(dir string) error {
	if dir == "" {
		return nil
	}
	dir, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("empty the store: %w", err)
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return !strings.HasPrefix(m.Mountpoint, dir+"/"), false
	})
	if err != nil {
		return fmt.Errorf("look for mounts below %s: %w", dir, err)
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%s is still mounted: end what uses it, then try again", mounts[0].Mountpoint)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("empty %s: %w", dir, err)
	}
	var failed error
	for _, entry := range entries {
		failed = errors.Join(failed, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return failed
}
