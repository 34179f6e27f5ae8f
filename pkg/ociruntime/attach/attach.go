// Package attach connects the caller's streams with a container's through the
// socket of its conmon: output until its end, input with detach keys, window
// size, signals. It changes the mode of the caller's terminal and puts it back
// on every way out. Starting the container, and its exit code, are the caller's.
package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Streams are the caller's ends. In nil leaves the container's input alone; Out
// or Err nil drops that output. A terminal's output all comes through Out.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Options describe an attachment.
type Options struct {
	// Socket and Ctl are ociruntime.AttachSocket and ociruntime.Ctl; the second
	// may be empty.
	Socket, Ctl string
	// Terminal: the container has one. If In is a terminal too, it becomes raw
	// for the time, its size is followed, and the detach keys work.
	Terminal bool
	Streams  Streams
	// DetachKeys as in ParseDetachKeys; empty switches them off. They are looked
	// for only in a terminal's input: in a pipe they would be data.
	DetachKeys string
	// Started, if set, is called when the socket is connected and before
	// anything is copied: start the container there, and nothing of its output
	// is lost. An error ends the attachment and is returned as it is.
	Started func() error
	// Looped: conmon looks after the container already, and Started waits until it
	// has taken the connection. (For an exec session it looks at its sockets after
	// the start alone.)
	Looped bool
	// Kill, if set, gets every signal this process is sent (see CatchSignals).
	// Without it, SIGINT, SIGTERM, SIGHUP and SIGQUIT end an attachment whose
	// terminal is raw with a SignalError, so that the terminal is put back.
	Kill func(syscall.Signal) error
	// Ended, if set, is closed when the container is known to have ended and its
	// exit file to be there: what is still in the socket is copied, and nothing
	// is waited for any more. Without it the end of the socket is awaited, which
	// a stopped conmon never sends.
	Ended <-chan struct{}
}

// Result says how an attachment ended.
type Result struct {
	// Detached: the user typed the detach keys; the container goes on.
	Detached bool
}

// SignalError says that a signal ended the attachment.
type SignalError struct{ Signal syscall.Signal }

// Error names the signal.
func (e *SignalError) Error() string { return "ended by signal: " + e.Signal.String() }

// A message to conmon must fit its buffer of 32 KiB, or it is cut silently; one
// from conmon is a byte for the stream and at most 8 KiB.
const (
	maxToConmon   = 32<<10 - 1
	maxFromConmon = 32<<10 + 1
)

// The first byte of a message from conmon.
const (
	fromStdout = 2
	fromStderr = 3
)

// session is a running attachment.
type session struct {
	o        Options
	conn     *net.UnixConn
	detached atomic.Bool
	sent     atomic.Bool  // something of In
	signal   atomic.Int32 // the one that ended it, or 0
}

// Attach copies streams until the container's output ends, the user detaches,
// ctx ends or a signal does. An In that is a file is left alone when it returns;
// a goroutine that waits in the Read of any other In ends with that Read.
func Attach(ctx context.Context, o Options) (Result, error) {
	keys, err := ParseDetachKeys(o.DetachKeys)
	if err != nil {
		return Result{}, err
	}
	conn, err := dial(ctx, o.Socket)
	if err != nil {
		return Result{}, fmt.Errorf("attach: %w", err)
	}
	defer func() { _ = conn.Close() }()
	s := &session{o: o, conn: conn}
	stopTerminal, err := s.terminal()
	if err != nil {
		return Result{}, err
	}
	defer stopTerminal()
	proxy, err := CatchSignals(o.Kill)
	if err != nil {
		return Result{}, err
	}
	defer proxy.Stop()
	if o.Started != nil {
		if o.Looped {
			if err := s.awaitAccepted(ctx); err != nil {
				return Result{}, err
			}
		}
		if err := o.Started(); err != nil {
			return Result{}, err
		}
	}
	proxy.Run()
	stopContext := context.AfterFunc(ctx, s.interrupt)
	defer stopContext()
	stopInput := s.input(keys)
	defer stopInput()
	err = s.output()
	if s.signal.Load() != 0 || ctx.Err() != nil {
		s.leave()
	}
	switch {
	case s.detached.Load():
		return Result{Detached: true}, nil
	case s.signal.Load() != 0:
		return Result{}, &SignalError{Signal: syscall.Signal(s.signal.Load())}
	case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return Result{}, context.Cause(ctx)
	}
	return Result{}, err
}

// dialPatience bounds the wait for a conmon that is busy.
const dialPatience = 10 * time.Second

// dial connects to conmon's socket. Its path may be longer than an address
// holds, so the directory is opened and named through /proc. A conmon that does
// not come to accept what waits already (EAGAIN, connect(2)) is given time.
func dial(ctx context.Context, socket string) (*net.UnixConn, error) {
	dir, err := os.OpenFile(filepath.Dir(socket), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	short := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(socket)
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: short, Net: "unixpacket"})
	for end := time.Now().Add(dialPatience); errors.Is(err, unix.EAGAIN) && ctx.Err() == nil && time.Now().Before(end); {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
		conn, err = net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: short, Net: "unixpacket"})
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return nil, &os.PathError{Op: "connect", Path: socket, Err: errno}
	}
	return conn, err
}

// interrupt makes a waiting output return with os.ErrDeadlineExceeded.
func (s *session) interrupt() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }

// output copies what the container writes until the socket ends.
func (s *session) output() error {
	if s.o.Ended != nil {
		done := make(chan struct{})
		defer close(done)
		go func() {
			select {
			case <-s.o.Ended:
				s.interrupt()
			case <-done:
			}
		}()
	}
	buf := make([]byte, maxFromConmon)
	for received, resets := false, 0; ; {
		n, err := s.conn.Read(buf)
		if n > 0 {
			received = true
			if err := s.deliver(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case !received && s.unaccepted(err):
			return errUnaccepted
		case errors.Is(err, unix.ECONNRESET) && resets < 2:
			// conmon went away with input of ours unread. The kernel reports that
			// once, ahead of the output that still waits in the socket.
			resets++
		case errors.Is(err, unix.ECONNRESET), errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && s.ended():
			return s.drain(buf)
		default:
			return err
		}
	}
}

// ended reports whether the caller knows that the container has ended.
func (s *session) ended() bool {
	select {
	case <-s.o.Ended:
		return true
	default:
		return false
	}
}

// drain copies what is in the socket and does not wait for more.
func (s *session) drain(buf []byte) error {
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return nil //nolint:nilerr // the connection is gone, nothing is in it
	}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	for {
		n := 0
		var rerr error
		if err := raw.Control(func(fd uintptr) {
			for n, _, rerr = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT); errors.Is(rerr, unix.EINTR); {
				n, _, rerr = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			}
		}); err != nil || n <= 0 && !errors.Is(rerr, unix.ECONNRESET) {
			return nil //nolint:nilerr // empty: all was read
		}
		if n > 0 {
			if err := s.deliver(buf[:n]); err != nil {
				return err
			}
		}
	}
}

// deliver writes one message of conmon's to the stream it names.
func (s *session) deliver(message []byte) error {
	var to io.Writer
	switch message[0] {
	case fromStdout:
		to = s.o.Streams.Out
	case fromStderr:
		to = s.o.Streams.Err
	}
	if to == nil || len(message) == 1 {
		return nil
	}
	if _, err := to.Write(message[1:]); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// input starts copying In to the container and returns what stops it.
func (s *session) input(keys []byte) func() {
	in := s.o.Streams.In
	if in == nil {
		return func() {}
	}
	done := make(chan struct{})
	stop := func() {}
	if file, ok := in.(*os.File); ok {
		if r, err := newFileReader(file); err == nil {
			in, stop = r, func() { s.stopReader(r, done) }
		}
	}
	var strip *detacher
	if s.o.Terminal && len(keys) > 0 {
		strip = &detacher{keys: keys}
	}
	go func() {
		defer close(done)
		s.copyInput(in, strip)
	}()
	return stop
}

// stopReader ends copyInput on a file and waits for it, so that the caller may
// close the file. The wait has a limit for the one case in which its Read cannot
// be woken: somebody else took the input between poll and read.
func (s *session) stopReader(r *fileReader, done <-chan struct{}) {
	r.stop()
	_ = s.conn.Close() // it may wait for the container to take its input
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// copyInput copies until In ends, the container stops taking it, or the detach
// keys come. The end of In is passed on by closing our half of the socket.
func (s *session) copyInput(in io.Reader, strip *detacher) {
	if r, ok := in.(*fileReader); ok {
		defer r.release()
	}
	buf := make([]byte, maxToConmon)
	// With keys held back from the last read, more can go out than came in.
	room := buf
	if strip != nil {
		room = buf[:maxToConmon-len(strip.keys)]
	}
	for {
		n, err := in.Read(room)
		data := room[:n]
		detach := false
		if strip != nil {
			data, detach = strip.feed(data)
		}
		if len(data) > 0 { // an empty message would mean the end
			s.sent.Store(true)
			if _, werr := s.conn.Write(data); werr != nil {
				return
			}
		}
		if detach {
			s.detached.Store(true)
			s.leave()
			return
		}
		if errors.Is(err, errStopped) {
			return
		}
		if err != nil {
			_ = s.conn.CloseWrite()
			return
		}
	}
}
