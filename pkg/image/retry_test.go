package image

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"go.podman.io/image/v5/docker"
)

func TestPassing(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("pinging: %w", &url.Error{Op: "Get", URL: "https://r/v2/", Err: &net.OpError{Op: "dial", Err: err}})
	}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"refused":      {dial(syscall.ECONNREFUSED), false},
		"unknown name": {dial(&net.DNSError{IsNotFound: true}), false},
		"name server":  {dial(&net.DNSError{IsTimeout: true, IsTemporary: true}), true},
		"reset":        {dial(syscall.ECONNRESET), true},
		"bad gateway":  {docker.UnexpectedHTTPStatusError{StatusCode: http.StatusBadGateway}, true},
		"own mistake":  {docker.UnexpectedHTTPStatusError{StatusCode: http.StatusBadRequest}, false},
		"staging": {fmt.Errorf("committing: %w", &os.LinkError{
			Op: "rename", Old: "/s/overlay/tempdirs/temp-dir-1/0-addition", New: "/s/overlay/l", Err: syscall.ENOENT,
		}), true},
		"other": {errors.New("x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := passing(test.err); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestPatiently(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	none := uint(0)
	for name, test := range map[string]struct {
		opts Access
		err  error
		want int
	}{
		"passing":          {Access{RetryDelay: time.Nanosecond}, reset, 1 + defaultRetries},
		"lasting":          {Access{RetryDelay: time.Nanosecond}, syscall.ECONNREFUSED, 1},
		"the user's count": {Access{Retry: &none}, reset, 1},
		"none":             {Access{}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			_, err := Patiently(t.Context(), test.opts, func() (int, error) { calls++; return calls, test.err })
			if !errors.Is(err, test.err) || calls != test.want {
				t.Errorf("%d calls, %v", calls, err)
			}
		})
	}
}
