package attach

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// errUnaccepted: conmon ended without having taken the connection.
var errUnaccepted = errors.New("attach: conmon ended before it took the connection: the container's output is lost here, see its logs")

// awaitAccepted waits until conmon has taken the connection. Connecting alone is no promise:
// a conmon that was about to look after its children when the connection came reaps a
// container that lives shorter than that pause, ends its loop, and never accepts
// (check_child_processes in conmon's ctr_exit.c). All output would be lost, with exit code 0.
//
// A conmon that has ended is not waited for: starting the container will tell. Where the
// kernel cannot be asked, output tells errUnaccepted.
func (s *session) awaitAccepted(ctx context.Context) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	var problem error
	if err := raw.Control(func(fd uintptr) { problem = awaitAccepted(ctx, int(fd)) }); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	return problem
}

func awaitAccepted(ctx context.Context, fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	diag, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil //nolint:nilerr // a kernel that cannot be asked
	}
	defer func() { _ = unix.Close(diag) }()
	polled := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // a descriptor fits; a hang-up is always told
	end := time.Now().Add(dialPatience)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		if taken, err := accepted(diag, uint32(st.Ino)); taken || err != nil { //nolint:gosec // sockets' numbers have 32 bits, sock_diag(7)
			return nil //nolint:nilerr // as above
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Now().After(end) {
			return fmt.Errorf("attach: conmon did not take the connection in %s: is it stopped?", dialPatience)
		}
		wait := unix.NsecToTimespec(int64(pause))
		if n, err := unix.Ppoll(polled, &wait, nil); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return nil //nolint:nilerr // conmon is gone
		}
	}
}

// What is asked of the kernel is a netlink header (netlink(7)) and a struct unix_diag_req,
// answered with a struct unix_diag_msg and attributes (sock_diag(7)).
const (
	sockDiagByFamily = 20
	udiagShowPeer    = 4 // with the inode of the socket at the other end
	unixDiagPeer     = 2 // the attribute that has it
	diagRequestLen   = unix.SizeofNlMsghdr + 24
	diagAnswerLen    = unix.SizeofNlMsghdr + 16
)

// accepted says whether the other end of the socket with this inode number belongs to a
// program: until accept(2), and after its end, it has no inode.
func accepted(diag int, inode uint32) (bool, error) {
	ne := binary.NativeEndian
	request := make([]byte, diagRequestLen)
	ne.PutUint32(request, diagRequestLen)
	ne.PutUint16(request[4:], sockDiagByFamily)
	ne.PutUint16(request[6:], unix.NLM_F_REQUEST)
	body := request[unix.SizeofNlMsghdr:]
	body[0] = unix.AF_UNIX
	ne.PutUint32(body[4:], ^uint32(0)) // in any state
	ne.PutUint32(body[8:], inode)
	ne.PutUint32(body[12:], udiagShowPeer)
	ne.PutUint64(body[16:], ^uint64(0)) // whatever its cookie is
	if err := unix.Sendto(diag, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, err
	}
	answer := make([]byte, 512)
	n, _, err := unix.Recvfrom(diag, answer, 0)
	if err != nil {
		return false, err
	}
	if answer = answer[:n]; n < diagAnswerLen || ne.Uint16(answer[4:]) != sockDiagByFamily {
		return false, errors.ErrUnsupported // NLMSG_ERROR: the kernel has no such diagnosis
	}
	for rest := answer[diagAnswerLen:]; len(rest) >= unix.SizeofRtAttr; {
		size := int(ne.Uint16(rest))
		if size < unix.SizeofRtAttr || size > len(rest) {
			break
		}
		if ne.Uint16(rest[2:]) == unixDiagPeer && size >= unix.SizeofRtAttr+4 {
			return ne.Uint32(rest[unix.SizeofRtAttr:]) != 0, nil
		}
		rest = rest[min((size+3)&^3, len(rest)):]
	}
	return false, nil
}

// unaccepted says whether an error of the first read means that conmon ended without
// accept(2): it has nothing of ours that it could have left unread.
func (s *session) unaccepted(err error) bool {
	return s.o.Started != nil && s.o.Looped && errors.Is(err, unix.ECONNRESET) && !s.sent.Load()
}
