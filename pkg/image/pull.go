package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/containers/ocicrypt/helpers"
	"go.podman.io/common/libimage"
	commonconfig "go.podman.io/common/pkg/config"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/transports/alltransports"

	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// The policies of PullOptions.
const (
	PolicyAlways  = basic.PolicyAlways
	PolicyMissing = basic.PolicyMissing
	PolicyNever   = basic.PolicyNever
	PolicyNewer   = basic.PolicyNewer
)

// PullOptions say how an image is brought here.
type PullOptions = basic.PullOptions

// Pulled is an image that Pull brought or found.
type Pulled struct {
	ID    string
	Names []string
}

// Ensure returns the configuration of an image, pulling it if the policy says.
func (s *Store) Ensure(ctx context.Context, name string, opts PullOptions) (specgen.ImageConfig, error) {
	if opts.Here() {
		config, err := s.Resolve(ctx, name)
		if err == nil {
			s.MarkUsed(config.ID)
		}
		if err == nil || !errors.Is(err, ErrNoImage) {
			return config, err
		}
	}
	pulled, err := s.Pull(ctx, name, opts)
	if err != nil {
		return specgen.ImageConfig{}, err
	}
	if len(pulled) == 0 {
		return specgen.ImageConfig{}, &Error{Name: name, Reason: "nothing was pulled"}
	}
	s.MarkUsed(pulled[0].ID)
	config, err := s.Resolve(ctx, pulled[0].ID)
	if full, ok := s.fullName(ctx, name, pulled[0]); err == nil && ok {
		config.Name = full
	}
	return config, err
}

// fullName is the name by which a pulled image answers to name.
func (s *Store) fullName(ctx context.Context, name string, pulled Pulled) (string, bool) {
	if img, err := s.find(ctx, name); err == nil && img.ID == pulled.ID && img.Name != "" {
		return img.Name, true
	}
	return "", false
}

// Pull brings an image from a registry, archive or directory. Name is a
// reference, with or without a transport (docker://, oci:, oci-archive:,
// docker-archive:, dir:, containers-storage:).
func (s *Store) Pull(ctx context.Context, name string, opts PullOptions) ([]Pulled, error) {
	policy, err := parsePolicy(opts.Policy)
	if err != nil {
		return nil, err
	}
	if isHello(name) {
		if pulled, done, err := s.pullHello(ctx, name); done || err != nil {
			return pulled, err
		}
	}
	pullOptions, err := LibraryPull(&opts)
	if err != nil {
		return nil, err
	}
	lib, err := s.writing()
	if err != nil {
		return nil, err
	}
	if sourcePath(name) != "" {
		if err := s.vetSource(ctx, name); err != nil {
			return nil, err
		}
	}
	target, err := lib.dockerDefault(name)
	if err != nil {
		return nil, explain(name, err)
	}
	images, err := Patiently(ctx, opts.Access, func() ([]*libimage.Image, error) {
		if opts.AllTags {
			return lib.pullTags(ctx, target, policy, &opts.Access, pullOptions)
		}
		return lib.Pull(ctx, target, policy, pullOptions)
	})
	if err != nil {
		s.dropFailed(ctx, err)
		err = s.explainPull(name, opts, err)
		var plain *Error
		if errors.As(err, &plain) && plain.Kind == basic.Other && len(opts.DecryptionKeys) == 0 && lib.encrypted(ctx, target, &opts.Access, pullOptions) {
			return nil, &Error{Name: name, Reason: "the image is encrypted", Hint: encryptedHint, Err: err}
		}
		return nil, err
	}
	out := make([]Pulled, 0, len(images))
	for _, img := range images {
		s.MarkUsed(img.ID())
		out = append(out, Pulled{ID: img.ID(), Names: img.Names()})
	}
	return out, nil
}

func parsePolicy(policy string) (commonconfig.PullPolicy, error) {
	switch policy {
	case "", PolicyMissing, "ifnotpresent", "ifmissing":
		return commonconfig.PullPolicyMissing, nil
	case PolicyAlways:
		return commonconfig.PullPolicyAlways, nil
	case PolicyNever:
		return commonconfig.PullPolicyNever, nil
	case PolicyNewer, "ifnewer":
		return commonconfig.PullPolicyNewer, nil
	default:
		return 0, fmt.Errorf("unsupported pull policy %q: use always, missing, never or newer", policy)
	}
}

// LibraryPull turns the options into libimage's.
func LibraryPull(o *PullOptions) (*libimage.PullOptions, error) {
	out := &libimage.PullOptions{}
	out.OS, out.Architecture, out.Variant = o.OS, o.Arch, o.Variant
	if o.Platform != "" {
		if o.OS != "" || o.Arch != "" {
			return nil, errors.New("--platform cannot be used together with --os or --arch")
		}
		parts := strings.Split(o.Platform, "/")
		if len(parts) > 3 || parts[0] == "" {
			return nil, fmt.Errorf("invalid platform %q: use OS/ARCH[/VARIANT]", o.Platform)
		}
		parts = append(parts, "", "")
		out.OS, out.Architecture = parts[0], parts[1]
		if parts[2] != "" {
			out.Variant = parts[2]
		}
	}
	fill(&out.CopyOptions, &o.Access)
	if !o.Quiet {
		out.Writer = o.Progress
	}
	if len(o.DecryptionKeys) > 0 {
		keys, err := helpers.CreateCryptoConfig(nil, o.DecryptionKeys)
		if err != nil {
			return nil, fmt.Errorf("--decryption-key: %w", err)
		}
		out.OciDecryptConfig = keys.DecryptConfig
	}
	return out, nil
}

// dockerDefault gives a short name docker.io, as docker does, when nobody has
// configured where short names are looked for. A list that is configured, even
// an empty one, stays in force; so do aliases and local images.
func (l *library) dockerDefault(name string) (string, error) {
	if ref, err := alltransports.ParseImageName(name); err == nil && ref != nil {
		return name, nil
	}
	if !shortnames.IsShortName(name) || strings.HasPrefix(name, "sha256:") || reference.IsFullIdentifier(name) {
		return name, nil
	}
	registries, origin, err := sysregistriesv2.UnqualifiedSearchRegistriesWithOrigin(l.sys)
	if err != nil {
		return "", err
	}
	if len(registries) > 0 || origin != "" {
		return name, nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	repo := strings.TrimPrefix(reference.TrimNamed(named).String(), "docker.io/library/")
	alias, _, err := sysregistriesv2.ResolveShortNameAlias(l.sys, strings.TrimPrefix(repo, "docker.io/"))
	if err != nil || alias != nil {
		return name, err
	}
	if _, resolved, err := l.LookupImage(name, nil); err == nil && resolved != "" {
		return name, nil
	}
	return reference.TagNameOnly(named).String(), nil
}

// sourcePath is the path of a local source such as oci-archive:PATH.
func sourcePath(name string) string {
	transport, rest, ok := strings.Cut(name, ":")
	if !ok || strings.HasPrefix(rest, "//") {
		return ""
	}
	switch transport {
	case "oci", "oci-archive", "docker-archive", "dir":
		path, _, _ := strings.Cut(rest, ":")
		return path
	}
	return ""
}

// explainPull adds what only the pull knows: whether a source file is there,
// and whether credentials were given.
func (s *Store) explainPull(name string, opts PullOptions, err error) error {
	if path := sourcePath(name); path != "" {
		if _, statErr := os.Stat(path); statErr != nil {
			return &Error{Name: name, Reason: statErr.Error(), Err: err}
		}
	}
	if out := s.policyError(name, opts.SignaturePolicy, nil, err); out != nil {
		return out
	}
	return ExplainAccess(&opts.Access, name, err)
}
