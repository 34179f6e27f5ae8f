package attach

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// listener is a socket with one connection that waits for accept(2).
func listener(t *testing.T) (fd int, waiting *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "attach")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	waiting, err = dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = waiting.Close() })
	return fd, waiting
}

func TestAwaitAccepted(t *testing.T) {
	for _, tc := range []struct {
		name string
		then func(t *testing.T, fd int)
	}{
		{"taken", func(t *testing.T, fd int) {
			t.Helper()
			taken, _, err := unix.Accept(fd)
			if err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { _ = unix.Close(taken); _ = unix.Close(fd) })
		}},
		{"gone", func(_ *testing.T, fd int) { _ = unix.Close(fd) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fd, conn := listener(t)
			ended := make(chan error, 1)
			go func() { ended <- (&session{conn: conn}).awaitAccepted(t.Context()) }()
			select {
			case err := <-ended:
				t.Fatalf("it was not waited for conmon: %v", err)
			default:
			}
			tc.then(t, fd)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	fd, conn := listener(t)
	defer unix.Close(fd)
	diag, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(diag)
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); err != nil {
		t.Fatal(err)
	}
	is := func(want bool, when string) {
		t.Helper()
		if got, err := accepted(diag, uint32(st.Ino)); got != want || err != nil { //nolint:gosec // a socket's number
			t.Errorf("%s: accepted = %v, %v", when, got, err)
		}
	}
	is(false, "before accept")
	taken, _, err := unix.Accept(fd)
	if err != nil {
		t.Fatal(err)
	}
	is(true, "after accept")
	if err := unix.Close(taken); err != nil {
		t.Fatal(err)
	}
	is(false, "after close")
	if _, err := accepted(diag, ^uint32(0)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a socket that is not there: %v", err)
	}
}

// TestUnaccepted has a conmon that ends without accept(2), as after a container that lived
// too short for it.
func TestUnaccepted(t *testing.T) {
	for _, starts := range []bool{true, false} {
		fd, conn := listener(t)
		s := &session{conn: conn}
		if s.o.Looped = true; starts {
			s.o.Started = func() error { return nil }
		}
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
		if err := s.output(); errors.Is(err, errUnaccepted) != starts {
			t.Errorf("with a start %v: %v", starts, err)
		}
	}
}
