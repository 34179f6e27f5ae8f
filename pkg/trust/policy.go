// Package trust owns whom images are believed from: policy.json, read, shown,
// changed and explained; the signature stores of registries.d; and signatures
// made with gpg. Enforcing the policy is containers/image's, which pkg/image
// calls at each copy.
package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/signature"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/ioutils"
	"go.podman.io/storage/pkg/unshare"
)

// The types of a requirement as the command line has them.
const (
	Accept         = "accept"
	Reject         = "reject"
	SignedBy       = "signedBy"
	SigstoreSigned = "sigstoreSigned"

	// acceptAnything is Accept's name in the file.
	acceptAnything = "insecureAcceptAnything"
)

// maxFile bounds a policy and a file of keys.
const maxFile = 8 << 20

// Places are the files that may hold the policy, the first that exists counts:
// the user's own, the administrator's, the distribution's. The variable
// CONTAINERS_POLICY_JSON replaces them all.
func Places() ([]string, error) {
	paths, err := configfile.GetSearchPaths(&configfile.File{
		Name: "policy", Extension: "json", DoNotLoadDropInFiles: true, EnvironmentName: "CONTAINERS_POLICY_JSON",
	})
	if err != nil {
		return nil, fmt.Errorf("places of policy.json: %w", err)
	}
	return paths.MainFiles, nil
}

// Path is the policy in force, "" when there is none. A file that is there but
// cannot be looked at counts: a policy is never skipped.
func Path() (string, error) {
	places, err := Places()
	if err != nil {
		return "", err
	}
	for _, place := range places {
		if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) || os.Getenv("CONTAINERS_POLICY_JSON") != "" {
			return place, nil
		}
	}
	return "", nil
}

// writable is the file that a change goes to, and the one it starts from: the
// policy in force if that can be written, else the user's own, which then starts
// as a copy of it.
func writable() (to, from string, err error) {
	places, err := Places()
	if err != nil {
		return "", "", err
	}
	if from, err = Path(); err != nil {
		return "", "", err
	}
	switch {
	case os.Getenv("CONTAINERS_POLICY_JSON") != "" || from == places[0]:
		return places[0], places[0], nil
	case !unshare.IsRootless():
		// The administrator's place holds for all users.
		return "/etc/containers/policy.json", from, nil
	}
	return places[0], from, nil
}

// requirement is an entry of the policy, as far as it is shown.
type requirement struct {
	Type     string   `json:"type"`
	KeyType  string   `json:"keyType,omitempty"`
	KeyPath  string   `json:"keyPath,omitempty"`
	KeyPaths []string `json:"keyPaths,omitempty"`
	KeyData  []byte   `json:"keyData,omitempty"`
}

// document is a policy whose requirements are kept as they were written.
type document struct {
	Default    json.RawMessage                       `json:"default"`
	Transports map[string]map[string]json.RawMessage `json:"transports,omitempty"`
}

// parse reads a policy, strictly: what the library would not enforce is an error.
func parse(path string, raw []byte) (*document, error) {
	if _, err := signature.NewPolicyFromBytes(raw); err != nil {
		return nil, fmt.Errorf("%s: not a valid policy: %w", path, err)
	}
	doc := &document{}
	if err := json.Unmarshal(raw, doc); err != nil {
		return nil, fmt.Errorf("%s: not a valid policy: %w", path, err)
	}
	return doc, nil
}

func requirements(raw json.RawMessage) ([]requirement, error) {
	var reqs []requirement
	err := json.Unmarshal(raw, &reqs)
	return reqs, err
}

// Change is a new requirement for a scope.
type Change struct {
	// Path replaces the policy in force.
	Path string
	// Scope is REGISTRY[/REPOSITORY] or "default".
	Scope string
	// Type is accept, reject, signedBy or sigstoreSigned.
	Type string
	// Keys are the files of the public keys, one of which must have signed.
	Keys []string
}

// Set changes the policy and returns its path. Nothing else in it changes, and a
// result that could not be enforced is not written.
func Set(c Change) (string, error) {
	entry, err := c.entry()
	if err != nil {
		return "", err
	}
	if err := validScope(c.Scope); err != nil {
		return "", err
	}
	to, from := c.Path, c.Path
	if to == "" {
		if to, from, err = writable(); err != nil {
			return "", err
		}
	}
	doc := &document{}
	raw, err := readBounded(from)
	switch {
	case err == nil:
		if doc, err = parse(from, raw); err != nil {
			return "", err
		}
	case from != "" && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read policy: %w", err)
	}
	if err := doc.set(c.Scope, entry); err != nil {
		return "", fmt.Errorf("%s: %w", to, err)
	}
	return to, doc.write(to)
}

func (c *Change) entry() (json.RawMessage, error) {
	var reqs []requirement
	switch kind := c.Type; kind {
	case Accept, acceptAnything, Reject:
		if len(c.Keys) > 0 {
			return nil, fmt.Errorf("%d public keys unexpectedly provided for trust type %s", len(c.Keys), kind)
		}
		if kind == Accept {
			kind = acceptAnything
		}
		reqs = []requirement{{Type: kind}}
	case SignedBy, SigstoreSigned:
		if len(c.Keys) == 0 {
			return nil, fmt.Errorf("at least one public key must be defined for type '%s': use --pubkeysfile FILE", kind)
		}
		for _, path := range c.Keys {
			path, err := filepath.Abs(path)
			if err != nil {
				return nil, fmt.Errorf("public key: %w", err)
			}
			if _, err := readBounded(path); err != nil {
				return nil, fmt.Errorf("public key: %w", err)
			}
			req := requirement{Type: kind, KeyPath: path}
			if kind == SignedBy {
				req.KeyType = "GPGKeys"
			}
			reqs = append(reqs, req)
		}
	default:
		return nil, fmt.Errorf("invalid choice: %s (choose from 'accept', 'reject', 'signedBy', 'sigstoreSigned')", kind)
	}
	return json.Marshal(reqs)
}

// validScope accepts "default", a host, *.DOMAIN, or a repository with or
// without a tag.
func validScope(scope string) error {
	probe := strings.TrimPrefix(scope, "*.")
	if !strings.Contains(probe, "/") {
		probe += "/x"
	}
	if _, err := reference.Parse(probe); err != nil || strings.HasPrefix(scope, "-") {
		return fmt.Errorf("invalid image uri: %s: use REGISTRY[/REPOSITORY], or default", scope)
	}
	return nil
}

func (d *document) set(scope string, entry json.RawMessage) error {
	if scope == "default" {
		d.Default = entry
		return nil
	}
	if len(d.Default) == 0 {
		return errors.New("default trust policy must be set first: use `pod image trust set --type TYPE default`")
	}
	for _, scopes := range d.Transports {
		if _, ok := scopes[scope]; ok {
			scopes[scope] = entry
			return nil
		}
	}
	if d.Transports == nil {
		d.Transports = map[string]map[string]json.RawMessage{}
	}
	if d.Transports["docker"] == nil {
		d.Transports["docker"] = map[string]json.RawMessage{}
	}
	d.Transports["docker"][scope] = entry
	return nil
}

// write replaces the file as a whole. One that is a link stays a link.
func (d *document) write(path string) error {
	raw, err := json.MarshalIndent(d, "", "    ")
	if err != nil {
		return fmt.Errorf("write policy %s: %w", path, err)
	}
	raw = append(raw, '\n')
	if _, err := parse(path, raw); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as the directory of any configuration
		return fmt.Errorf("write policy: %w", err)
	}
	if err := ioutils.AtomicWriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write policy %s: %w", path, err)
	}
	return nil
}

// readBounded reads a regular file of a bearable size.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s: larger than %d MiB", path, maxFile>>20)
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the user named it
	if err != nil {
		return nil, err
	}
	return bytes.TrimPrefix(raw, []byte("\ufeff")), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
