// Package journal writes to systemd's journal in its native protocol and reads
// it through journalctl. It links no library of systemd.
package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is where journald listens.
const Socket = "/run/systemd/journal/socket"

// Field is one field of an entry. Names are upper-case letters, digits and
// underscores and do not begin with an underscore.
type Field struct{ Name, Value string }

// patience bounds the wait for a journald that does not keep up.
const patience = time.Second

// Send writes one entry to the journal behind socket, and waits for journald no
// longer than patience.
func Send(socket string, fields []Field) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
		return fmt.Errorf("bound the wait for journald: %w", err)
	}
	data := encode(fields)
	to := &unix.SockaddrUnix{Name: socket}
	err = uninterrupted(func() error { return unix.Sendto(fd, data, unix.MSG_NOSIGNAL, to) })
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		err = sendFile(fd, data, to)
	}
	if err != nil {
		return fmt.Errorf("write to the journal at %s: %w", socket, err)
	}
	return nil
}

// sendFile passes an entry that no datagram can hold as a sealed memory file.
func sendFile(fd int, data []byte, to unix.Sockaddr) error {
	mem, err := unix.MemfdCreate("journal-entry", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	defer unix.Close(mem)
	for rest := data; len(rest) > 0; {
		n, err := unix.Write(mem, rest)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(mem), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	return uninterrupted(func() error { return unix.Sendmsg(fd, nil, unix.UnixRights(mem), to, unix.MSG_NOSIGNAL) })
}

// uninterrupted sends again when a signal came in between: with a time limit on
// the socket the kernel does not do so by itself (signal(7)).
func uninterrupted(send func() error) error {
	for end := time.Now().Add(patience); ; {
		if err := send(); !errors.Is(err, unix.EINTR) || time.Now().After(end) {
			return err
		}
	}
}

// encode writes fields in the native protocol. A value with a newline is
// length-prefixed, so no value can add a field of its own.
func encode(fields []Field) []byte {
	var out []byte
	for _, f := range fields {
		out = append(out, f.Name...)
		if !strings.Contains(f.Value, "\n") {
			out = append(out, '=')
		} else {
			out = append(out, '\n')
			out = binary.LittleEndian.AppendUint64(out, uint64(len(f.Value)))
		}
		out = append(out, f.Value...)
		out = append(out, '\n')
	}
	return out
}
