package attach

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeConmon listens where conmon would and hands the first connection to talk.
func fakeConmon(t *testing.T, dir string, talk func(c *net.UnixConn)) string {
	t.Helper()
	socket := filepath.Join(dir, "attach")
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	t.Chdir(dir) // a long path does not fit into an address
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: "attach", Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer c.Close()
		talk(c)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return socket
}

// input reads messages of the client until it ends its half.
func input(c *net.UnixConn) string {
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

func TestAttachStreams(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	socket := fakeConmon(t, dir, func(c *net.UnixConn) {
		for _, m := range []string{"\x02out1 ", "\x03err1 ", "\x02", "\x09ignored", "\x02out2"} {
			_, _ = c.Write([]byte(m))
		}
		got <- input(c)
	})
	var out, errs bytes.Buffer
	started := false
	sent := strings.Repeat("0123456789", 20000)
	res, err := Attach(t.Context(), Options{
		Socket:  socket,
		Streams: Streams{In: strings.NewReader(sent), Out: &out, Err: &errs},
		Started: func() error { started = true; return nil },
	})
	if err != nil || res.Detached || !started {
		t.Fatalf("Attach: %+v, %v, started %v", res, err, started)
	}
	if out.String() != "out1 out2" || errs.String() != "err1 " {
		t.Errorf("out %q, err %q", out.String(), errs.String())
	}
	if in := <-got; in != sent {
		t.Errorf("container got %d bytes of input, want %d", len(in), len(sent))
	}
}

func TestAttachStartFails(t *testing.T) {
	in := make(chan string, 1)
	socket := fakeConmon(t, t.TempDir(), func(c *net.UnixConn) { in <- input(c) })
	sentinel := errors.New("no such command")
	_, err := Attach(t.Context(), Options{
		Socket:  socket,
		Streams: Streams{In: strings.NewReader("data")},
		Started: func() error { return sentinel },
	})
	if !errors.Is(err, sentinel) {
		t.Errorf("error %v, want the one of Started", err)
	}
	if got := <-in; got != "" {
		t.Errorf("input %q was sent to a container that did not start", got)
	}
}

func TestAttachDetach(t *testing.T) {
	in := make(chan string, 1)
	socket := fakeConmon(t, t.TempDir(), func(c *net.UnixConn) { in <- input(c) })
	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("ls\x10\x11")) }()
	res, err := Attach(t.Context(), Options{
		Socket: socket, Terminal: true, DetachKeys: DefaultDetachKeys,
		Streams: Streams{In: r, Out: io.Discard},
	})
	if err != nil || !res.Detached {
		t.Errorf("Attach: %+v, %v, want detached", res, err)
	}
	if got := <-in; got != "ls" {
		t.Errorf("container got %q", got)
	}
}

// conmon must have read that somebody leaves before it can find the connection gone.
func TestAttachLeaves(t *testing.T) {
	gone := make(chan error, 1)
	socket := fakeConmon(t, t.TempDir(), func(c *net.UnixConn) {
		input(c) // ends with the empty message
		// What a busy container prints now must still find somebody.
		_, err := c.Write([]byte("\x02printed"))
		gone <- err
		_ = c.CloseRead()
	})
	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("\x10\x11")) }()
	res, err := Attach(t.Context(), Options{
		Socket: socket, Terminal: true, DetachKeys: DefaultDetachKeys,
		Streams: Streams{In: r, Out: io.Discard},
	})
	if err != nil || !res.Detached {
		t.Fatalf("Attach: %+v, %v", res, err)
	}
	if err := <-gone; err != nil {
		t.Errorf("it was gone before conmon knew: %v", err)
	}
}

func TestAttachContext(t *testing.T) {
	socket := fakeConmon(t, t.TempDir(), func(c *net.UnixConn) { input(c) })
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Attach(ctx, Options{
		Socket: socket, Streams: Streams{Out: io.Discard},
		Started: func() error { cancel(); return nil },
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context canceled", err)
	}
}

// TestAttachEnded: output that is already in the socket is copied although
// nobody will ever close it.
func TestAttachEnded(t *testing.T) {
	ended := make(chan struct{})
	release := make(chan struct{})
	socket := fakeConmon(t, t.TempDir(), func(c *net.UnixConn) {
		_, _ = c.Write([]byte("\x02last words"))
		close(ended)
		<-release
	})
	defer close(release)
	var out bytes.Buffer
	if _, err := Attach(t.Context(), Options{Socket: socket, Ended: ended, Streams: Streams{Out: &out}}); err != nil {
		t.Fatal(err)
	}
	if out.String() != "last words" {
		t.Errorf("out %q", out.String())
	}
}

// TestAttachReset: a conmon that goes away with input unread must not cost the
// output before it.
func TestAttachReset(t *testing.T) {
	sent := make(chan struct{})
	socket := fakeConmon(t, t.TempDir(), func(c *net.UnixConn) {
		<-sent
		_, _ = c.Write([]byte("\x02one "))
		_, _ = c.Write([]byte("\x02two"))
	})
	var out bytes.Buffer
	_, err := Attach(t.Context(), Options{
		Socket: socket, Streams: Streams{In: &signalingReader{sent: sent}, Out: &out},
	})
	if err != nil || out.String() != "one two" {
		t.Errorf("out %q, error %v", out.String(), err)
	}
}

// signalingReader gives one line, and says so when the next is asked for.
type signalingReader struct {
	given bool
	sent  chan struct{}
}

func (r *signalingReader) Read(p []byte) (int, error) {
	if r.given {
		close(r.sent)
		return 0, io.EOF
	}
	r.given = true
	return copy(p, "unread"), nil
}

func TestAttachOutputFails(t *testing.T) {
	socket := fakeConmon(t, t.TempDir(), func(c *net.UnixConn) {
		_, _ = c.Write([]byte("\x02data"))
		input(c)
	})
	r, w := io.Pipe()
	r.Close()
	if _, err := Attach(t.Context(), Options{Socket: socket, Streams: Streams{Out: w}}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v, want the writer's", err)
	}
}

func TestAttachNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attach")
	_, err := Attach(t.Context(), Options{Socket: path})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

// TestFileReaderLeavesInput: input that comes after the end is for the next
// reader of the file.
func TestFileReaderLeavesInput(t *testing.T) {
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	defer pw.Close()
	socket := fakeConmon(t, t.TempDir(), func(c *net.UnixConn) {
		buf := make([]byte, 16)
		_, _ = c.Read(buf)
	})
	_, _ = pw.WriteString("first")
	if _, err := Attach(t.Context(), Options{Socket: socket, Streams: Streams{In: pr}}); err != nil {
		t.Fatal(err)
	}
	_, _ = pw.WriteString("second")
	buf := make([]byte, 16)
	if n, err := unix.Read(int(pr.Fd()), buf); err != nil || string(buf[:n]) != "second" {
		t.Errorf("left %q, %v", buf[:n], err)
	}
}

func TestCatchSignals(t *testing.T) {
	got := make(chan syscall.Signal, 8)
	p, err := CatchSignals(func(sig syscall.Signal) error { got <- sig; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{unix.SIGWINCH, unix.SIGUSR1} {
		if err := unix.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	p.Run() // what came before must not be lost
	if sig := <-got; sig != unix.SIGUSR1 {
		t.Errorf("first signal passed on is %v, want SIGUSR1", sig)
	}
	p.Stop()
}

func TestResizeBounds(t *testing.T) {
	ctl := filepath.Join(t.TempDir(), "ctl")
	if err := unix.Mkfifo(ctl, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Resize(ctl, 24, 80); err == nil || !strings.Contains(err.Error(), "conmon has ended") {
		t.Errorf("no reader: error %v", err)
	}
	reader, err := os.OpenFile(ctl, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := Resize(ctl, 0, 1001); err == nil {
		t.Error("a size conmon refuses was sent")
	}
	if err := Resize(ctl, 24, 80); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 32)
	if n, _ := reader.Read(buf); string(buf[:n]) != "1 24 80\n" {
		t.Errorf("message %q", buf[:n])
	}
}
