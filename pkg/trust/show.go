package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// Entry is a line of `image trust show`. The keys in JSON are the field's.
type Entry struct {
	// Transport is all, repository (docker), or another transport's name.
	Transport string `json:"transport"`
	// Name and RepoName are the scope; the default has a longer name.
	Name     string `json:"name,omitempty"`
	RepoName string `json:"repo_name,omitempty"`
	// SignatureStore is where signatures are looked for, of registries.d.
	SignatureStore string `json:"sigstore,omitempty"`
	// Type is accept, reject, signed or sigstoreSigned.
	Type string `json:"type"`
	// GPGId are the addresses of the keys' owners.
	GPGId string `json:"gpg_id,omitempty"`
}

// Policy is a policy that was read.
type Policy struct {
	Path string
	Raw  []byte
	doc  *document
}

// Open reads the policy at path, or with "" the one in force.
func Open(path string) (*Policy, error) {
	if path == "" {
		var err error
		if path, err = Path(); err != nil {
			return nil, err
		}
		if path == "" {
			return nil, errors.New("no policy.json is in force: every image is accepted; " +
				"`pod image trust set --type TYPE default` makes one")
		}
	}
	raw, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	doc, err := parse(path, raw)
	if err != nil {
		return nil, err
	}
	return &Policy{Path: path, Raw: raw, doc: doc}, nil
}

// Entries describes the policy. With a registry or repository, only what holds
// for it or for something in it.
func (p *Policy) Entries(only, registriesDir string) ([]Entry, error) {
	stores, err := readStores(registriesDir)
	if err != nil {
		return nil, err
	}
	var scoped []Entry
	holds := false
	for _, transport := range sortedKeys(p.doc.Transports) {
		for _, scope := range sortedKeys(p.doc.Transports[transport]) {
			if only != "" && (transport != "docker" || !within(only, scope) && !within(scope, only)) {
				continue
			}
			holds = holds || within(only, scope)
			name := transport
			if transport == "docker" {
				name = "repository"
			}
			entry := Entry{Transport: name, Name: scope, RepoName: scope, SignatureStore: stores.lookaside(scope)}
			if scoped, err = p.describe(scoped, entry, p.doc.Transports[transport][scope]); err != nil {
				return nil, err
			}
		}
	}
	if only != "" && holds {
		return scoped, nil
	}
	entry := Entry{Transport: "all", Name: "* (default)", RepoName: "default", SignatureStore: stores.lookaside("")}
	out, err := p.describe(nil, entry, p.doc.Default)
	return append(out, scoped...), err
}

// describe appends an entry for each requirement.
func (p *Policy) describe(to []Entry, template Entry, raw json.RawMessage) ([]Entry, error) {
	reqs, err := requirements(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Path, err)
	}
	for _, req := range reqs {
		template.Type, template.GPGId = shown(req.Type), req.owners()
		to = append(to, template)
	}
	return to, nil
}

// within says that a scope holds for name: it is the same, a parent of it, or a
// pattern of its host.
func within(name, scope string) bool {
	if host, ok := strings.CutPrefix(scope, "*."); ok {
		domain, _, _ := strings.Cut(name, "/")
		domain, _, _ = strings.Cut(domain, ":")
		return strings.HasSuffix(domain, "."+host)
	}
	rest, ok := strings.CutPrefix(name, scope)
	return ok && (rest == "" || strings.ContainsRune("/:@", rune(rest[0])))
}

// shown are the words of the table; an unknown type shows as it is.
func shown(kind string) string {
	switch kind {
	case acceptAnything:
		return Accept
	case SignedBy:
		return "signed"
	}
	return kind
}

// owners are the addresses, or names, in the keys of a requirement.
func (r *requirement) owners() string {
	switch r.Type {
	case SigstoreSigned:
		return "N/A" // such keys have no owners
	case SignedBy:
	default:
		return ""
	}
	var all []string
	paths := r.KeyPaths
	if r.KeyPath != "" {
		paths = append([]string{r.KeyPath}, paths...)
	}
	for _, path := range paths {
		if raw, err := readBounded(path); err == nil {
			all = append(all, keyOwners(raw)...)
		}
	}
	if len(r.KeyData) > 0 {
		all = append(all, keyOwners(r.KeyData)...)
	}
	return strings.Join(all, ", ")
}

// keyOwners reads a ring of keys, armoured or not.
func keyOwners(raw []byte) []string {
	ring, err := openpgp.ReadKeyRing(bytes.NewReader(raw))
	if err != nil {
		if ring, err = openpgp.ReadArmoredKeyRing(bytes.NewReader(raw)); err != nil {
			return nil
		}
	}
	var all []string
	for _, entity := range ring {
		var here []string
		for _, identity := range entity.Identities {
			name := identity.Name
			if identity.UserId != nil && identity.UserId.Email != "" {
				name = identity.UserId.Email
			}
			here = append(here, name)
		}
		slices.Sort(here)
		all = append(all, here...)
	}
	return all
}
