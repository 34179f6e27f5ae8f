// Package process names a process so that a recycled pid is never mistaken for
// it, and asks the kernel about it. It owns pidfds and /proc/PID/stat; what a
// process is for, and what its end means, is the caller's matter.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone says that the process has ended, or that its pid is another's now.
var ErrGone = errors.New("process is gone")

// ID names one process of this boot: its pid and the clock tick it started at.
// The zero ID names none.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// stat is the part of /proc/PID/stat that is looked at.
type stat struct {
	state   byte
	parent  int
	session int
	start   uint64
}

// Self returns the identity of the calling process; its Start is 0 where /proc
// cannot be read, and such an ID is never alive.
func Self() ID {
	pid := os.Getpid()
	st, err := readStat(pid)
	if err != nil {
		return ID{PID: pid}
	}
	return ID{PID: pid, Start: st.start}
}

// Of returns the identity of the process that has pid now. A zombie still has
// one; a pid nobody has gives ErrGone.
func Of(pid int) (ID, error) {
	st, err := readStat(pid)
	if err != nil {
		return ID{}, err
	}
	return ID{PID: pid, Start: st.start}, nil
}

// Alive reports whether the process still runs. A zombie does not.
func (id ID) Alive() bool {
	return id.check() == nil
}

// Signal sends sig to the process and to no other: where the pid was recycled
// it sends nothing and returns ErrGone.
func (id ID) Signal(sig syscall.Signal) error {
	fd, err := id.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	switch err := unix.PidfdSendSignal(fd, sig, nil, 0); {
	case errors.Is(err, unix.ESRCH):
		return ErrGone
	case err != nil:
		return fmt.Errorf("signal process %d: %w", id.PID, err)
	}
	return nil
}

// Wait returns nil when the process has ended, at once if it already has, and
// the context's error when that comes first. It sleeps in the runtime's poller:
// neither a thread nor a timer is spent on it.
func (id ID) Wait(ctx context.Context) error {
	fd, err := id.open()
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return fmt.Errorf("wait for process %d: %w", id.PID, err)
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", id.PID, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = conn.Read(ended)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("wait for process %d: %w", id.PID, err)
	}
	return nil
}

// ended reports whether a pidfd's process has ended, without waiting.
func ended(fd uintptr) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) //nolint:gosec // a descriptor fits
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return n > 0 || err != nil
	}
}

// OpenFD returns a close-on-exec pidfd of the process, or ErrGone. It becomes
// readable when the process ends.
func (id ID) OpenFD() (*os.File, error) {
	fd, err := id.open()
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// open pins the process first and compares its start time after: once the pidfd
// is there, the pid cannot come to mean another process unnoticed.
func (id ID) open() (int, error) {
	if id.PID <= 0 {
		return -1, ErrGone
	}
	fd, err := unix.PidfdOpen(id.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return -1, ErrGone // EINVAL: the number is a thread's by now
	}
	if err != nil {
		return -1, fmt.Errorf("open process %d: %w", id.PID, err)
	}
	if err := id.check(); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// check compares the identity with what /proc says now.
func (id ID) check() error {
	if id.PID <= 0 || id.Start == 0 {
		return ErrGone
	}
	st, err := readStat(id.PID)
	if err != nil {
		return err
	}
	if st.start != id.Start || st.state == 'Z' || st.state == 'X' {
		return ErrGone
	}
	return nil
}

// BootID returns the kernel's identifier of the present boot.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// statSize is more than a line of /proc/PID/stat has: the name and 51 numbers.
const statSize = 2048

// readStat reads the line with three system calls, where os.ReadFile, which asks
// the poller about the file, needs ten: ps does this for each container.
func readStat(pid int) (stat, error) {
	b, err := readShort("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return stat{}, ErrGone
	}
	if err != nil {
		return stat{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	st, err := parseStat(b)
	if err != nil {
		return stat{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return st, nil
}

// readShort reads a file of the kernel's that gives all it has in one read.
func readShort(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, statSize)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// parseStat reads state (field 3), parent (4), session (6) and start time (22).
// The name in field 2 may hold blanks and parentheses, so counting begins after the last ')'.
func parseStat(line []byte) (stat, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errors.New("stat line has no name")
	}
	fields := bytes.Fields(line[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, errors.New("stat line is too short")
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("stat line: start time: %w", err)
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return stat{}, fmt.Errorf("stat line: parent: %w", err)
	}
	session, err := strconv.Atoi(string(fields[3]))
	if err != nil {
		return stat{}, fmt.Errorf("stat line: session: %w", err)
	}
	return stat{state: fields[0][0], parent: parent, session: session, start: start}, nil
}
