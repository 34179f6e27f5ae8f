package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// What this program does in a container, as its first argument says.
const (
	sendVerb  = "send"  // ADDRESS: send there for a while
	serveVerb = "serve" // ADDRESS: take or give, as the client's first byte says
	lookVerb  = "look"  // NAME: resolve it
)

// span is how long a stream flows.
const span = 4 * time.Second

// bridgeName is the bridge network of a case.
const bridgeName = "benchports"

// hostInside is where both tools' default and bridge networks reach the host.
const hostInside = "169.254.1.2"

// inside plays the container's part and says whether it was asked to.
func inside(args []string) (bool, error) {
	if len(args) != 3 {
		return false, nil
	}
	switch args[1] {
	case sendVerb:
		return true, send(args[2])
	case serveVerb:
		return true, serve(args[2])
	case lookVerb:
		return true, look(args[2])
	}
	return false, nil
}

func send(address string) error {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second) //nolint:noctx // ends with the container
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// The other side measures, and ends it. What is under way then may take long.
	block := make([]byte, 256<<10)
	if err := conn.SetDeadline(time.Now().Add(10 * span)); err != nil {
		return err
	}
	for {
		if _, err := conn.Write(block); err != nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			return nil //nolint:nilerr // the receiver knows how much came
		}
	}
}

// pour writes for the span, then waits until the other side has read all. It
// returns the seconds that a gigabyte took.
func pour(conn net.Conn) (float64, error) {
	block := make([]byte, 256<<10)
	start := time.Now()
	if err := conn.SetDeadline(start.Add(span)); err != nil {
		return 0, err
	}
	var sent int64
	for {
		n, err := conn.Write(block)
		sent += int64(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.CloseWrite(); err != nil {
			return 0, err
		}
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err := conn.Read(make([]byte, 1))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return perGB(sent, time.Since(start)), err
}

// serve takes what a client sends that begins with 's', and sends to one that
// begins with 'r'.
func serve(address string) error {
	l, err := net.Listen("tcp", address) //nolint:noctx // ends with the container
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = conn.Close() }()
			first := make([]byte, 1)
			if _, err := io.ReadFull(conn, first); err != nil {
				return
			}
			if first[0] == 'r' {
				_, _ = pour(conn) // its client measures
				return
			}
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
}

// drain reads for the span and returns the seconds that a gigabyte took.
func drain(conn net.Conn) (float64, error) {
	start := time.Now()
	if err := conn.SetReadDeadline(start.Add(span)); err != nil {
		return 0, err
	}
	var got int64
	block := make([]byte, 256<<10)
	for {
		n, err := conn.Read(block)
		got += int64(n)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) {
			return perGB(got, time.Since(start)), nil
		}
		if err != nil {
			return 0, err
		}
	}
}

func perGB(n int64, took time.Duration) float64 { return took.Seconds() / (float64(n) / 1e9) }

// traffic are rates of one TCP stream, as seconds a gigabyte takes: out of a
// container, and to and from a port that it publishes.
func (b *bench) traffic() []spec {
	unit := "s/GB"
	remove := call("rm", "-f", "-t", "0", "ID")
	bridge := []string{"--network", bridgeName}
	made, gone := call("network", "create", bridgeName), call("network", "rm", bridgeName)
	create := func(ctx context.Context, t *tool) error { return made(ctx, t, "") }
	drop := func(ctx context.Context, t *tool) error { return gone(ctx, t, "") }
	return []spec{
		{name: "TCP out of a container", limit: 0.20, unit: unit, rounds: 5, do: b.outward()},
		{name: "TCP to a published port", limit: 1.20, unit: unit, rounds: 5, do: b.published("127.0.0.1", 's'), after: remove},
		{name: "TCP from a published port", limit: 1.20, unit: unit, rounds: 5, do: b.published("127.0.0.1", 'r'), after: remove},
		{name: "TCP from a published port, host's address", limit: 0.20, unit: unit, rounds: 5, do: b.published("", 'r'), after: remove},
		{name: "TCP out of a container, bridge", limit: 0.20, unit: unit, rounds: 5, setup: create, teardown: drop, do: b.outward(bridge...)},
		{name: "TCP to a published port, bridge", limit: 1.20, unit: unit, rounds: 5, setup: create, teardown: drop, do: b.published("127.0.0.1", 's', bridge...), after: remove},
		{name: "TCP from a published port, bridge", limit: 1.20, unit: unit, rounds: 5, setup: create, teardown: drop, do: b.published("127.0.0.1", 'r', bridge...), after: remove},
	}
}

// outward has a container send to this process.
func (b *bench) outward(args ...string) func(context.Context, *tool, string) (float64, error) {
	return func(ctx context.Context, t *tool, _ string) (float64, error) {
		l, err := net.Listen("tcp", ":0") //nolint:noctx // closed below
		if err != nil {
			return 0, err
		}
		defer func() { _ = l.Close() }()
		done := make(chan error, 1)
		var rate float64
		go func() {
			conn, err := l.Accept()
			if err == nil {
				rate, err = drain(conn)
				_ = conn.Close()
			}
			done <- err
		}()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return 0, err
		}
		all := append([]string{"run", "--rm", "-v", b.self + ":/bench:ro"}, args...)
		if _, err := t.run(ctx, append(all, b.image, "/bench", sendVerb, net.JoinHostPort(hostInside, port))...); err != nil {
			return 0, err
		}
		return rate, <-done
	}
}

// published sends to, or reads from, a server in a container. An empty address
// is the host's own.
func (b *bench) published(address string, direction byte, args ...string) func(context.Context, *tool, string) (float64, error) {
	return func(ctx context.Context, t *tool, id string) (float64, error) {
		at := address
		if at == "" {
			var err error
			if at, err = ownAddress(); err != nil {
				return 0, err
			}
		}
		all := append([]string{"run", "-d", "--name", id, "-v", b.self + ":/bench:ro", "-p", at + "::5000"}, args...)
		if _, err := t.run(ctx, append(all, b.image, "/bench", serveVerb, ":5000")...); err != nil {
			return 0, err
		}
		out, err := t.run(ctx, "port", id, "5000")
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(out, "\n")
		conn, err := greet(first, direction)
		if err != nil {
			return 0, err
		}
		defer func() { _ = conn.Close() }()
		if direction == 'r' {
			return drain(conn)
		}
		return pour(conn)
	}
}

// greet connects and says what is wanted; a forwarder answers before the server
// in the container does, so it tries until the connection stays.
func greet(address string, direction byte) (net.Conn, error) {
	var last error
	for range 100 {
		conn, err := net.DialTimeout("tcp", address, time.Second) //nolint:noctx // bounded
		if err == nil {
			if _, err = conn.Write([]byte{direction}); err == nil {
				_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				n, err := conn.Read(make([]byte, 1))
				if n == 1 || errors.Is(err, os.ErrDeadlineExceeded) {
					return conn, conn.SetReadDeadline(time.Time{})
				}
			}
			_ = conn.Close()
		}
		last = err
		time.Sleep(20 * time.Millisecond)
	}
	return nil, fmt.Errorf("reach the server at %s: %w", address, last)
}

// ownAddress is an address of this host that is not loopback.
func ownAddress() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, addr := range addrs {
		if n, ok := addr.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String(), nil
		}
	}
	return "", errors.New("this host has loopback only")
}
