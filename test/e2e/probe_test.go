package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// probeVerb makes this program a small server or client, since the images of the
// scripts have none that tells who asks. Scripts find it as $PROBE.
const probeVerb = "probe"

// probe runs one of
//
//	probe serve PORT...   answer each TCP client and each datagram with its sender; PORT 0 is printed
//	probe sockets [IDLE]   answer clients of the sockets that systemd opened (sd_listen_fds(3)), until none
//	                       has come for IDLE
//	probe ask tcp|udp ADDRESS:PORT   print the answer
//
// and says whether it was asked to.
func probe(args []string) (bool, error) {
	if len(args) > 2 && args[1] == probeVerb && args[2] == "sockets" {
		return true, probeSockets(args[3:])
	}
	if len(args) < 4 || args[1] != probeVerb {
		return false, nil
	}
	switch args[2] {
	case "serve":
		return true, probeServe(args[3:])
	case "ask":
		return true, probeAsk(args[3], args[4])
	}
	return true, fmt.Errorf("probe: unknown verb %q", args[2])
}

func probeServe(ports []string) error {
	done := make(chan error, 2*len(ports))
	for _, port := range ports {
		l, err := net.Listen("tcp", ":"+port) //nolint:noctx // ends with its container
		if err != nil {
			return err
		}
		if _, port, _ = net.SplitHostPort(l.Addr().String()); ports[0] == "0" {
			fmt.Fprintln(os.Stdout, port)
		}
		u, err := net.ListenPacket("udp", ":"+port) //nolint:noctx // ends with its container
		if err != nil {
			return err
		}
		go func() { done <- greetStreams(l, port) }()
		go func() { done <- greetDatagrams(u, port) }()
	}
	return <-done
}

// probeSockets answers with the name of the socket.
func probeSockets(idle []string) error {
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("probe: no sockets: LISTEN_FDS=%q LISTEN_PID=%q", os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"))
	}
	limit := 24 * time.Hour
	if len(idle) > 0 {
		if limit, err = time.ParseDuration(idle[0]); err != nil {
			return err
		}
	}
	quiet := time.NewTimer(limit)
	done := make(chan error, count)
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for i := range count {
		l, err := net.FileListener(os.NewFile(uintptr(3+i), "socket"))
		if err != nil {
			return err
		}
		name := ""
		if i < len(names) {
			name = names[i]
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					done <- err
					return
				}
				quiet.Reset(limit)
				_, _ = fmt.Fprintf(c, "socket %s\n", name)
				_ = c.Close()
			}
		}()
	}
	select {
	case err := <-done:
		return err
	case <-quiet.C:
		return nil
	}
}

func greetStreams(l net.Listener, port string) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		_, _ = fmt.Fprintf(c, "tcp %s from %s\n", port, host)
		_ = c.Close()
	}
}

func greetDatagrams(u net.PacketConn, port string) error {
	buf := make([]byte, 100)
	for {
		_, from, err := u.ReadFrom(buf)
		if err != nil {
			return err
		}
		host, _, _ := net.SplitHostPort(from.String())
		if _, err := u.WriteTo(fmt.Appendf(nil, "udp %s from %s\n", port, host), from); err != nil {
			return err
		}
	}
}

// probeAsk tries for a while: the server may not listen yet.
func probeAsk(network, address string) error {
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := askOnce(network, address)
		if err == nil && answer != "" {
			fmt.Fprint(os.Stdout, answer)
			return nil
		}
		last = errors.Join(err)
	}
	return fmt.Errorf("probe: no answer from %s %s: %w", network, address, last)
}

func askOnce(network, address string) (string, error) {
	c, err := net.DialTimeout(network, address, time.Second) //nolint:noctx // bounded
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if network == "udp" {
		if _, err := c.Write([]byte("?")); err != nil {
			return "", err
		}
	}
	buf := make([]byte, 200)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}

// runProbe is for TestMain.
func runProbe() {
	asked, err := probe(os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if asked {
		os.Exit(0)
	}
}
