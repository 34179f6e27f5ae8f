package image

import (
	"context"
	"errors"
	"net/http"
)

// download fetches an archive into a temporary file.
func (s *Store) download(ctx context.Context, address string) (path string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", &Error{Name: address, Reason: "not an address", Err: err}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", explain(address, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return "", &Error{Name: address, Reason: "the server answers " + response.Status}
	}
	return s.spool(ctx, response.Body)
}
