package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/common/libimage/filter"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
)

// SearchOptions say what Search looks for.
type SearchOptions struct {
	Access
	// Filters are stars=N, is-official[=BOOL], is-automated[=BOOL].
	Filters []string
	// Limit bounds the results of each registry; 0 is the library's 25.
	Limit int
	// ListTags takes the term for a repository and returns its tags.
	ListTags bool
	// NoTrunc keeps long descriptions.
	NoTrunc bool
}

// SearchResult is an image or a tag at a registry.
type SearchResult = libimage.SearchResult

// Search asks registries: the one that term begins with, or those that
// registries.conf has for short names, or docker.io when it says nothing.
func (s *Store) Search(ctx context.Context, term string, opts SearchOptions) ([]SearchResult, error) {
	switch {
	case opts.Limit < 0:
		return nil, fmt.Errorf("--limit %d: it must not be negative", opts.Limit)
	case opts.ListTags && len(opts.Filters) > 0:
		return nil, errors.New("filters are not applicable to list tags result")
	}
	wanted, err := filter.ParseSearchFilter(opts.Filters)
	if err != nil {
		return nil, fmt.Errorf("%w: search knows stars=N, is-official and is-automated", err)
	}
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	search := &libimage.SearchOptions{
		Filter: *wanted, Limit: opts.Limit, NoTrunc: opts.NoTrunc, ListTags: opts.ListTags, Authfile: opts.Authfile,
		CertDirPath: opts.CertDir, Credentials: opts.Creds, InsecureSkipTLSVerify: insecure(&opts.Access),
	}
	registries, origin, err := sysregistriesv2.UnqualifiedSearchRegistriesWithOrigin(lib.sys)
	switch {
	case err != nil:
		return nil, explain(term, err)
	case len(registries) == 0 && origin == "":
		search.Registries = []string{"docker.io"}
	}
	found, err := Patiently(ctx, opts.Access, func() ([]SearchResult, error) { return lib.Search(ctx, term, search) })
	return found, opts.explainSearch(term, err)
}

// explainSearch says what the first registry said: the library's error has one line
// for each.
func (o *SearchOptions) explainSearch(term string, err error) error {
	var several interface{ WrappedErrors() []error }
	if errors.As(err, &several) && len(several.WrappedErrors()) > 0 {
		err = several.WrappedErrors()[0]
	}
	if err != nil && strings.Contains(err.Error(), "invalid status code from registry 404") && o.ListTags {
		return &Error{Name: term, Reason: "the registry has no such repository", Err: err}
	}
	return ExplainAccess(&o.Access, term, err)
}
