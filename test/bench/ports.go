package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// crowd is how many containers with a published port are on one network.
const crowd = 50

// crowded times the start of a crowd on one network, eight at a time, until every
// port answers. Each container then looks up another's name.
func (b *bench) crowded() spec {
	return spec{
		name: "50 containers with ports, one network", limit: 0.50, rounds: 3, slow: true,
		before: func(ctx context.Context, t *tool, _ string) error {
			_, err := t.run(ctx, "network", "create", bridgeName)
			return err
		},
		do: b.startCrowd,
		after: func(ctx context.Context, t *tool, _ string) error {
			args := []string{"rm", "-f", "-t", "0"}
			for i := range crowd {
				args = append(args, "crowd"+strconv.Itoa(i))
			}
			_, err := t.run(ctx, args...)
			_, gone := t.run(ctx, "network", "rm", bridgeName)
			return errors.Join(err, gone)
		},
	}
}

func (b *bench) startCrowd(ctx context.Context, t *tool, _ string) (float64, error) {
	errs := make([]error, crowd)
	turns := make(chan struct{}, 8)
	elapsed := stopwatch()
	var wait sync.WaitGroup
	for i := range crowd {
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			errs[i] = b.oneOfCrowd(ctx, t, "crowd"+strconv.Itoa(i))
		})
	}
	wait.Wait()
	ms := elapsed()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	for _, i := range []int{0, crowd / 2, crowd - 1} {
		if _, err := t.run(ctx, "exec", "crowd"+strconv.Itoa(i), "/bench", lookVerb, "crowd"+strconv.Itoa((i+1)%crowd)); err != nil {
			return 0, err
		}
	}
	return ms, nil
}

// oneOfCrowd starts a container and waits until its port answers.
func (b *bench) oneOfCrowd(ctx context.Context, t *tool, id string) error {
	_, err := t.run(ctx, "run", "-d", "--name", id, "--network", bridgeName, "-p", "127.0.0.1::5000", "-v", b.self+":/bench:ro",
		b.image, "/bench", serveVerb, ":5000")
	if err != nil {
		return err
	}
	at, err := t.run(ctx, "port", id, "5000")
	if err != nil {
		return err
	}
	at, _, _ = strings.Cut(at, "\n")
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = answers(at); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s at %s: %w", id, at, err)
}

// answers sends a byte and expects the end of the stream from the server.
func answers(address string) error {
	conn, err := net.DialTimeout("tcp", address, time.Second) //nolint:noctx // bounded
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte{'s'}); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil { //nolint:forcetypeassert // dialed as such
		return err
	}
	if _, err = conn.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("no answer: %w", err)
}

// look resolves a name.
func look(name string) error {
	_, err := net.LookupHost(name) //nolint:noctx // ends with the container
	return err
}
