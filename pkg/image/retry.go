package image

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/retry"
)

// Retries when the user did not say how many.
const (
	defaultRetries    = 3
	defaultRetryDelay = time.Second
)

// pullPatiently pulls again after errors that are likely to pass. The library
// would do so too, but waits for registries that are not there.
func pullPatiently(ctx context.Context, opts PullOptions, pull func() ([]*libimage.Image, error)) ([]*libimage.Image, error) {
	delay := opts.RetryDelay
	if delay == 0 {
		delay = defaultRetryDelay
	}
	for attempt := 0; ; attempt++ {
		images, err := pull()
		if err == nil || opts.Retry != nil || attempt == defaultRetries || !passing(err) {
			return images, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(delay << attempt):
		}
	}
}

// passing says whether an error may go away by itself soon: time-outs, broken
// connections and gateways are, a port where nobody listens and a name that
// nobody has are not.
func passing(err error) bool {
	var unknown *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return false
	case errors.As(err, &unknown):
		return unknown.IsTimeout || unknown.IsTemporary
	}
	return retry.IsErrorRetryable(err)
}
