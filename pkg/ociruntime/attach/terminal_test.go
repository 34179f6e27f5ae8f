package attach

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPTY returns both ends of a new terminal of 40 rows and 120 columns.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	setSize(t, master, 40, 120)
	return master, slave
}

func setSize(t *testing.T, master *os.File, rows, cols uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		t.Fatal(err)
	}
}

// raw reports whether a terminal neither echoes nor makes signals of keys.
func raw(t *testing.T, tty *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&(unix.ECHO|unix.ISIG|unix.ICANON) == 0
}

// TestTerminalRestored: the terminal is raw while the container has it, and put
// back on every way out.
func TestTerminalRestored(t *testing.T) {
	failed := errors.New("start failed")
	for _, c := range []struct {
		name string
		// act happens once the attachment stands; it must lead to its end.
		act     func(master *os.File, conmon chan<- string, cancel func())
		started error
		check   func(Result, error) bool
	}{
		{
			"end of the container", func(_ *os.File, conmon chan<- string, _ func()) { close(conmon) }, nil,
			func(r Result, err error) bool { return err == nil && !r.Detached },
		},
		{
			"detach keys", func(m *os.File, _ chan<- string, _ func()) { _, _ = m.WriteString("x\x10\x11") }, nil,
			func(r Result, err error) bool { return err == nil && r.Detached },
		},
		{"start fails", nil, failed, func(_ Result, err error) bool { return errors.Is(err, failed) }},
		{
			"context", func(_ *os.File, _ chan<- string, cancel func()) { cancel() }, nil,
			func(_ Result, err error) bool { return errors.Is(err, context.Canceled) },
		},
		{
			"signal", func(*os.File, chan<- string, func()) { _ = unix.Kill(os.Getpid(), unix.SIGTERM) }, nil,
			func(_ Result, err error) bool {
				var s *SignalError
				return errors.As(err, &s) && s.Signal == unix.SIGTERM
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			master, slave := openPTY(t)
			conmon := make(chan string)
			socket := fakeConmon(t, t.TempDir(), func(conn *net.UnixConn) {
				go func() {
					<-conmon
					_ = conn.CloseWrite()
				}()
				input(conn)
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			wasRaw := false
			res, err := Attach(ctx, Options{
				Socket: socket, Terminal: true, DetachKeys: DefaultDetachKeys,
				Streams: Streams{In: slave, Out: io.Discard},
				Started: func() error {
					wasRaw = raw(t, slave)
					if c.act != nil {
						c.act(master, conmon, cancel)
					}
					return c.started
				},
			})
			if !c.check(res, err) {
				t.Errorf("ended with %+v, %v", res, err)
			}
			if !wasRaw {
				t.Error("the terminal was not raw")
			}
			if raw(t, slave) {
				t.Error("the terminal was left raw")
			}
		})
	}
}

// TestTerminalSize: the container's window gets our size at once and follows.
func TestTerminalSize(t *testing.T) {
	master, slave := openPTY(t)
	dir := t.TempDir()
	ctl := filepath.Join(dir, "ctl")
	if err := unix.Mkfifo(ctl, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(ctl, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	_ = fifo.SetReadDeadline(time.Now().Add(10 * time.Second))
	expect := func(want string) {
		buf := make([]byte, 64)
		if n, err := fifo.Read(buf); err != nil || string(buf[:n]) != want {
			t.Errorf("conmon was told %q, %v, want %q", buf[:n], err, want)
		}
	}
	resized := make(chan struct{})
	socket := fakeConmon(t, dir, func(*net.UnixConn) {
		<-resized
		expect("1 50 90\n")
	})
	var got []syscall.Signal
	if _, err := Attach(t.Context(), Options{
		Socket: socket, Ctl: ctl, Terminal: true, Streams: Streams{In: slave, Out: io.Discard},
		Kill: func(sig syscall.Signal) error { got = append(got, sig); return nil },
		Started: func() error {
			expect("1 40 120\n")
			setSize(t, master, 50, 90)
			close(resized)
			// It is not our controlling terminal, so the kernel tells others.
			return unix.Kill(os.Getpid(), unix.SIGWINCH)
		},
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 0 {
		t.Errorf("signals %v went to the container", got)
	}
}
