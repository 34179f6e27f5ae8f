package ociruntime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
)

// CodeTimedOut is the exit code of a container that conmon killed because its
// timeout ran out, the one the field uses.
const CodeTimedOut = 255

// Exit is how a container or exec session ended.
type Exit struct {
	// Code is the exit status, 128+N after signal N, CodeTimedOut after a
	// timeout.
	Code int
	// Unknown: conmon did not live to note the code, which is lost for good.
	// Code is then -1.
	Unknown bool
	// OOM: the kernel killed a process of it for want of memory.
	OOM bool
	// At is when the exit was noted.
	At time.Time
}

// ExitCode reads the exit file in the RunDir of a container, or of an exec
// session in container id. ok is false while there is none.
func ExitCode(runDir, id string) (exit Exit, ok bool, err error) {
	path := filepath.Join(runDir, id)
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return Exit{Code: -1, Unknown: true}, false, nil
	}
	if err != nil {
		return Exit{}, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Exit{}, false, err
	}
	buf := make([]byte, 16)
	n, _ := file.Read(buf)
	code, err := strconv.Atoi(string(bytes.TrimSpace(buf[:n])))
	if err != nil {
		return Exit{}, false, fmt.Errorf("exit file %s: %w", path, err)
	}
	if code < 0 {
		code = CodeTimedOut
	}
	_, oomErr := os.Lstat(filepath.Join(runDir, oomFile))
	return Exit{Code: code, OOM: oomErr == nil, At: info.ModTime()}, true, nil
}

// WaitExit waits for the end of a container's (or session's) first process and
// returns what conmon noted of it. conmon writes the exit file shortly after,
// when it has drained the streams; watching for it with inotify would cost more
// than the whole container (closing a watch takes 8 to 15 ms), so WaitExit looks
// again in growing steps. When conmon has ended too and there is no file, the
// code is Unknown.
func WaitExit(ctx context.Context, runDir, id string, first, conmon process.ID) (Exit, error) {
	if err := first.Wait(ctx); err != nil {
		return Exit{}, err
	}
	if exit, ok, err := ExitCode(runDir, id); ok || err != nil {
		return exit, err
	}
	monitor, err := conmon.OpenFD()
	if errors.Is(err, process.ErrGone) {
		exit, _, err := ExitCode(runDir, id) // it may have been written meanwhile
		return exit, err
	}
	if err != nil {
		return Exit{}, err
	}
	defer monitor.Close()
	poll := []unix.PollFd{{Fd: int32(monitor.Fd()), Events: unix.POLLIN}} //nolint:gosec // a descriptor fits
	for step := 50 * time.Microsecond; ; step = min(2*step, 10*time.Millisecond) {
		timeout := unix.NsecToTimespec(int64(step))
		n, err := unix.Ppoll(poll, &timeout, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return Exit{}, fmt.Errorf("wait for conmon of %s: %w", id, err)
		}
		exit, ok, err := ExitCode(runDir, id)
		if ok || err != nil || n > 0 {
			return exit, err
		}
		if ctx.Err() != nil {
			return Exit{}, context.Cause(ctx)
		}
	}
}
