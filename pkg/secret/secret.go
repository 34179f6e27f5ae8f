// Package secret owns the user's secrets: the field's store of them, so that podman
// and pod have the same ones, and what may be told of them. Where a secret is in a
// container is libpod's matter.
package secret

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.podman.io/common/pkg/config"
	"go.podman.io/common/pkg/secrets"
)

// MaxSize is less than what a secret may have, in bytes; so is 0.
const MaxSize = 512000

// Store is the store of a graph root. Its data may be elsewhere: that is for each
// secret's driver to say.
type Store struct {
	manager *secrets.SecretsManager
	dir     string
	conf    config.SecretConfig
}

// Open opens the store of a graph root.
func Open(graphRoot string, conf config.SecretConfig) (*Store, error) {
	dir := filepath.Join(graphRoot, "secrets")
	manager, err := secrets.NewManager(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store of secrets: %w", err)
	}
	return &Store{manager: manager, dir: dir, conf: conf}, nil
}

// Options say how a secret is kept.
type Options struct {
	// Driver is file, pass or shell; empty is as configured.
	Driver string
	// DriverOptions replace the configured ones.
	DriverOptions map[string]string
	Labels        map[string]string
	// Replace a secret of the name; Ignore that there is one.
	Replace, Ignore bool
}

// Create keeps a secret and returns its id.
func (s *Store) Create(name string, data []byte, o Options) (string, error) {
	if o.Replace && o.Ignore {
		return "", errors.New("--ignore and --replace exclude each other")
	}
	if o.Driver == "" {
		o.Driver = s.conf.Driver
	}
	if len(o.DriverOptions) == 0 && o.Driver == s.conf.Driver {
		o.DriverOptions = s.conf.Opts
	}
	options := map[string]string{}
	maps.Copy(options, o.DriverOptions)
	if o.Driver == "file" && options["path"] == "" {
		options["path"] = filepath.Join(s.dir, "filedriver")
	}
	id, err := s.manager.Store(name, data, o.Driver, secrets.StoreOptions{
		DriverOpts: options, Labels: o.Labels, Replace: o.Replace, IgnoreIfExists: o.Ignore,
	})
	return id, explain(err)
}

// explain adds what to do to what the library says.
func explain(err error) error {
	if err == nil {
		return nil
	}
	switch text := err.Error(); {
	case strings.HasSuffix(text, "secret name in use"):
		return fmt.Errorf("%w: use --replace, or another name", err)
	case text == "invalid driver":
		return fmt.Errorf("%w: it is file, pass or shell", err)
	case strings.HasPrefix(text, "creating secret") && strings.Contains(text, "exit status"):
		return fmt.Errorf("%w: the driver's program refused it", err)
	}
	return err
}

// Secret is all about a secret but for its content.
type Secret struct {
	ID, Name  string
	Driver    string
	Options   map[string]string
	Labels    map[string]string
	CreatedAt time.Time
	UpdatedAt time.Time
}

func view(s *secrets.Secret) Secret {
	return Secret{ID: s.ID, Name: s.Name, Driver: s.Driver, Options: s.DriverOptions, Labels: s.Labels, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt}
}

// Lookup returns the secret that a name, an id or a unique beginning of one means.
func (s *Store) Lookup(nameOrID string) (Secret, error) {
	found, err := s.manager.Lookup(nameOrID)
	if err != nil {
		return Secret{}, err
	}
	return view(found), nil
}

// Data returns the content of a secret.
func (s *Store) Data(nameOrID string) ([]byte, error) {
	_, data, err := s.manager.LookupSecretData(nameOrID)
	return data, err
}

// IsAbsent says that an error is about a secret that does not exist.
func IsAbsent(err error) bool { return errors.Is(err, secrets.ErrNoSuchSecret) }

// Remove removes a secret and returns its id.
func (s *Store) Remove(nameOrID string) (string, error) { return s.manager.Delete(nameOrID) }

// List returns the secrets that match the filters, in the order of their ids: values
// of one key are alternatives, and both keys must hold.
func (s *Store) List(filters []string) ([]Secret, error) {
	names, ids, err := parse(filters)
	if err != nil {
		return nil, err
	}
	all, err := s.manager.List()
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	var out []Secret
	for i := range all {
		found := view(&all[i])
		named := slices.ContainsFunc(names, func(re *regexp.Regexp) bool { return re.MatchString(found.Name) })
		meant := slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(found.ID, id) })
		if (named || len(names) == 0) && (meant || len(ids) == 0) {
			out = append(out, found)
		}
	}
	slices.SortFunc(out, func(a, b Secret) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func parse(filters []string) (names []*regexp.Regexp, ids []string, err error) {
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		switch {
		case !ok:
			return nil, nil, fmt.Errorf("invalid filter %q: it is KEY=VALUE", f)
		case key == "id":
			ids = append(ids, value)
		case key == "name":
			re, err := regexp.Compile(value)
			if err != nil {
				return nil, nil, fmt.Errorf("filter name: %w", err)
			}
			names = append(names, re)
		default:
			return nil, nil, fmt.Errorf("invalid filter %q: use id or name", key)
		}
	}
	return names, ids, nil
}

// Read reads the content of a secret, and no more than may be in one: the source may
// be anything.
func Read(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize))
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	return data, nil
}
