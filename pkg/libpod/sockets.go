package libpod

import (
	"errors"
	"strconv"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// firstSocket is the number of the first descriptor that systemd hands over.
const firstSocket = 3

// maxSockets bounds what an environment may say; systemd's limit of descriptors
// is below it.
const maxSockets = 1 << 16

// Sockets are those that systemd has opened for this process (sd_listen_fds(3)).
type Sockets struct {
	Count uint
	// Names are those of FileDescriptorName=, with colons between them.
	Names string
}

// SocketsOf reads the environment of a process.
func SocketsOf(pid int, getenv func(name string) string) Sockets {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return Sockets{} // they are another's, which forgot to take the variables away
	}
	count, err := strconv.ParseUint(getenv("LISTEN_FDS"), 10, 32)
	if err != nil || count == 0 || count > maxSockets {
		return Sockets{}
	}
	return Sockets{Count: uint(count), Names: getenv("LISTEN_FDNAMES")}
}

// asksFor notes that this process was asked to run c. The first container that it
// was asked for is the one that systemd hears of. What is started because another
// needs it, or later by a timer, is nobody's unit.
func (e *Engine) asksFor(c *state.Container) {
	if e.NotifySocket == "" && e.Sockets.Count == 0 && e.Unit == "" {
		return
	}
	e.asked.Store(c.ID, true)
	e.speaker.CompareAndSwap(nil, &c.ID)
}

// speaks says whether systemd is to hear of a container.
func (e *Engine) speaks(c *state.Container) bool {
	id := e.speaker.Load()
	return id != nil && *id == c.ID
}

// takesSockets says whether a container gets the sockets of the unit: each that was
// asked for, but not the infra container of a pod, which does nothing.
func (e *Engine) takesSockets(c *state.Container) bool {
	_, asked := e.asked.Load(c.ID)
	return asked && e.Sockets.Count > 0 && !c.Spec.IsInfra
}

// inherited are the descriptors that a container gets.
func (e *Engine) inherited(c *state.Container) ([]uint, error) {
	own := c.Spec.Process.PreserveFDs
	if !e.takesSockets(c) {
		return own, nil
	}
	if len(own) > 0 {
		return nil, errors.New("--preserve-fds cannot be used with the sockets of systemd (LISTEN_FDS), which come first")
	}
	fds := make([]uint, e.Sockets.Count)
	for i := range fds {
		fds[i] = firstSocket + uint(i) //nolint:gosec // an index
	}
	return fds, nil
}

// socketEnv tells a container of its sockets, whose first process it is for.
func (e *Engine) socketEnv(c *state.Container) []string {
	if !e.takesSockets(c) {
		return nil
	}
	env := []string{"LISTEN_PID=1", "LISTEN_FDS=" + strconv.FormatUint(uint64(e.Sockets.Count), 10)}
	if e.Sockets.Names != "" {
		env = append(env, "LISTEN_FDNAMES="+e.Sockets.Names)
	}
	return env
}
