package sdnotify

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"
)

func listen(t *testing.T) (socket string, next func() string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return socket, func() string {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestSend(t *testing.T) {
	socket, next := listen(t)
	if err := Send(t.Context(), socket, "READY=1\nMAINPID=7"); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "READY=1\nMAINPID=7" {
		t.Errorf("got %q", got)
	}
	if err := Send(t.Context(), socket+"none", "x"); err == nil {
		t.Error("a socket that is not there takes a message")
	}
}

func TestExtend(t *testing.T) {
	socket, next := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { extend(ctx, socket, time.Millisecond); close(ended) }()
	for range 3 {
		if got := next(); got != "EXTEND_TIMEOUT_USEC=30000000" {
			t.Errorf("got %q", got)
		}
	}
	cancel()
	<-ended
	Extend(t.Context(), "")()
	Extend(t.Context(), socket)()
}
