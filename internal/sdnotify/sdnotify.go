// Package sdnotify tells a service manager how a service is (sd_notify(3)).
package sdnotify

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// extension is how long each word of Extend holds, and interval when the next one
// is sent.
const (
	extension = 30 * time.Second
	interval  = 10 * time.Second
)

// Send sends one message to the manager's socket; an abstract one begins with @.
func Send(ctx context.Context, socket, message string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", socket)
	if err != nil {
		return fmt.Errorf("connect to the service manager: %w", err)
	}
	_, err = conn.Write([]byte(message))
	_ = conn.Close() // a datagram is sent or not
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}

// Extend asks the manager, until the function that it returns is called, not to
// give up on a start whose work takes long but goes on. Without a socket it does
// nothing.
func Extend(ctx context.Context, socket string) (done func()) {
	if socket == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	go extend(ctx, socket, interval)
	return cancel
}

func extend(ctx context.Context, socket string, every time.Duration) {
	message := "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(extension.Microseconds(), 10)
	for tick := time.NewTicker(every); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			_ = Send(ctx, socket, message) // what ends this start then says why
		}
	}
}
