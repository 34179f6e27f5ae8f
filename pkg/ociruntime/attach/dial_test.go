package attach

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDialWaits connects to a monitor that has not accepted those before.
func TestDialWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attach")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	first, err := dial(t.Context(), path) // fills the queue
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second := make(chan error)
	go func() {
		conn, err := dial(t.Context(), path)
		if err == nil {
			err = conn.Close()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("second dial ended before the first was accepted: %v", err)
	default:
	}
	accepted, _, err := unix.Accept(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(accepted)
	if err := <-second; err != nil {
		t.Error(err)
	}
}
