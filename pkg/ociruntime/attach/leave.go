package attach

import (
	"time"

	"golang.org/x/sys/unix"
)

// leavePatience bounds the wait for conmon to see that somebody leaves.
const leavePatience = 250 * time.Millisecond

// leave closes the connection to a container that goes on. conmon is told first, by
// an empty message, and shuts its receiving half when it has read that. A conmon that
// finds out by a write that fails, before it has read the end, goes on with memory it
// has freed, and may take the container with it (conmon 2.1, terminate_remote_sock).
func (s *session) leave() {
	defer func() { _ = s.conn.Close() }()
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return // closed already
	}
	pause := 50 * time.Microsecond
	for end := time.Now().Add(leavePatience); time.Now().Before(end); pause = min(2*pause, 5*time.Millisecond) {
		var sent error
		err := raw.Control(func(fd uintptr) {
			sent = unix.Sendto(int(fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		})
		if err != nil || sent != nil && sent != unix.EAGAIN && sent != unix.EINTR { //nolint:errorlint // numbers, as they come from the kernel
			return
		}
		time.Sleep(pause)
	}
}
