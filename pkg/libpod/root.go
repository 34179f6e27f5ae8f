package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/filecopy"
)

// rootPatience bounds the wait for a container's process to become its own.
const rootPatience = 2 * time.Second

// openRoot opens the root directory that a container's first process sees. For
// a moment after the start that process is still the runtime, which does not let
// itself be looked into (PR_SET_DUMPABLE, prctl(2)) until it executes the
// container's command. For a moment before its end it has no root any more.
func openRoot(ctx context.Context, init process.ID) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, rootPatience)
	defer cancel()
	for {
		f, err := filecopy.OpenDir(fmt.Sprintf("/proc/%d/root", init.PID))
		if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOENT) || !init.Alive() {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(time.Millisecond):
		}
	}
}
