package timer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
)

// patience bounds the wait for another command that is starting or ending the
// watcher; it is milliseconds of work.
const patience = 5 * time.Second

// watcher is who the lock file says holds the lock.
type watcher struct {
	process     process.ID
	user, mount uint64
}

// lockPath is the file that the watcher holds locked as long as it may still
// take a job. It is never removed.
func (t *Timers) lockPath() string { return filepath.Join(t.RunBase, "pod", "watcher.lock") }

// ensureWatcher returns when a watcher is there that will find the jobs written
// before. The watcher gives its lock up and looks once more before it ends; so
// whoever finds the lock taken after he has written his job has been seen. A
// taken lock that names nobody who lives is that of a command about to start the
// watcher, or of a job about to begin: then we wait.
func (t *Timers) ensureWatcher(ctx context.Context) error {
	lock, err := os.OpenFile(t.lockPath(), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open lock of the watcher: %w", err)
	}
	defer lock.Close()
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return t.spawn(ctx, lock)
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("lock of the watcher: %w", err)
		}
		if w, err := readWatcher(lock); err == nil && w.process.Alive() {
			if w.here() {
				return nil
			}
			// Its namespaces are not ours: they were replaced (system migrate), and
			// its jobs would work in the old ones.
			if err := w.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, process.ErrGone) {
				return fmt.Errorf("end the watcher of other namespaces: %w", err)
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("start the watcher: %s stays locked", t.lockPath())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// readWatcher reads what the watcher wrote into its lock file.
func readWatcher(lock *os.File) (watcher, error) {
	var w watcher
	buf := make([]byte, 128)
	n, _ := lock.ReadAt(buf, 0) // a short file ends early
	_, err := fmt.Sscanf(string(buf[:n]), "pod-watcher 1 %d %d %d %d", &w.process.PID, &w.process.Start, &w.user, &w.mount)
	return w, err
}

// here says whether a watcher is in the namespaces of this process.
func (w watcher) here() bool {
	var user, mount unix.Stat_t
	if unix.Stat("/proc/self/ns/user", &user) != nil || unix.Stat("/proc/self/ns/mnt", &mount) != nil {
		return true
	}
	return user.Ino == w.user && mount.Ino == w.mount
}

// spawn starts the watcher, which takes the lock over with its descriptor. The
// process that is started here forks it and ends.
func (t *Timers) spawn(ctx context.Context, lock *os.File) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{"pod", "__watch", t.dir()}
	cmd.Dir = "/"
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{lock} // its descriptor 3
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start the watcher: %w", err)
	}
	w, err := readWatcher(lock)
	if err != nil {
		return fmt.Errorf("start the watcher: it does not say who it is: %w", err)
	}
	if t.Place == nil {
		return nil
	}
	if err := t.Place(ctx, w.process.PID); err != nil && w.process.Alive() {
		return fmt.Errorf("place the watcher: %w", err)
	}
	return nil
}
