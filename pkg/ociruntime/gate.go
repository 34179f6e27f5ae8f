package ociruntime

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Release lets the first process of a created container run its command, as Start
// does, without starting crun, which takes 5 of the 50 milliseconds of a run: that
// process waits for a byte from a FIFO in crun's state directory (crun's status.c, the
// same from 1.8 to 1.21), and crun does nothing else but poststart hooks, of which the
// container must have none. False means that nothing was done and Start must do it.
//
// The FIFO is removed after the byte is written, not before as crun does: who is killed
// between leaves a container that runs.
func (r *Runtime) Release(id string) bool {
	dir := r.crunState(id)
	if dir == "" {
		return false
	}
	path := filepath.Join(dir, "exec.fifo")
	// Without a reader, which is dead then, this fails.
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return false
	}
	if n, err := unix.Write(fd, []byte{0}); n != 1 || err != nil {
		return false
	}
	_ = unix.Unlink(path) // crun would take the container for created only, and does the same with it
	return true
}
