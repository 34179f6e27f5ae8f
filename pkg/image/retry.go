package image

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"go.podman.io/common/pkg/retry"

	"github.com/rootless-pod/pod/pkg/storage"
)

// Retries when the user did not say how many.
const (
	defaultRetries    = 3
	defaultRetryDelay = time.Second
)

// Patiently does something at a registry again after errors that are likely to
// pass. The library would do so too, but waits for registries that are not there.
func Patiently[T any](ctx context.Context, access Access, do func() (T, error)) (T, error) {
	delay := access.RetryDelay
	if delay == 0 {
		delay = defaultRetryDelay
	}
	for attempt := 0; ; attempt++ {
		out, err := do()
		if err == nil || access.Retry != nil || attempt == defaultRetries || !passing(err) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, err
		case <-time.After(delay << attempt):
		}
	}
}

// passing says whether an error may go away by itself soon: time-outs, broken
// connections, gateways, and a staging directory that another process removed are, a port where nobody listens and a name that
// nobody has are not.
func passing(err error) bool {
	var unknown *net.DNSError
	switch {
	case storage.StagingLost(err):
		return true
	case errors.Is(err, syscall.ECONNREFUSED):
		return false
	case errors.As(err, &unknown):
		return unknown.IsTimeout || unknown.IsTemporary
	}
	return retry.IsErrorRetryable(err)
}
