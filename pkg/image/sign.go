package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/pkg/auth"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"

	"github.com/rootless-pod/pod/pkg/trust"
)

// maxSignatures is more than an image has.
const maxSignatures = 1000

// SignOptions are those of Sign.
type SignOptions struct {
	// Key is gpg's name for the key.
	Key string
	// Directory gets the signatures instead of the store that registries.d names.
	Directory string
	// All signs each image of a list, not the list.
	All bool
	// Authfile, CertDir and RegistriesConf are as for pulls.
	Authfile, CertDir, RegistriesConf string
}

// Sign signs an image of a registry and puts the signature beside those it has.
func Sign(ctx context.Context, name string, o SignOptions) error {
	gpg := &trust.GPG{Key: o.Key}
	defer gpg.Close(ctx)
	if err := gpg.Check(ctx); err != nil {
		return err
	}
	ref, err := registryRef(name)
	if err != nil {
		return err
	}
	sys := &types.SystemContext{AuthFilePath: o.Authfile, DockerCertPath: o.CertDir, SystemRegistriesConfPath: o.RegistriesConf}
	if sys.AuthFilePath == "" {
		sys.AuthFilePath = auth.GetDefaultAuthFile()
	}
	place, err := signatureStore(sys, ref, o.Directory)
	if err != nil {
		return &Error{Name: name, Reason: err.Error(), Err: err}
	}
	src, err := ref.NewImageSource(ctx, sys)
	if err != nil {
		return explain(name, err)
	}
	defer func() { _ = src.Close() }()
	raw, kind, err := src.GetManifest(ctx, nil)
	if err != nil {
		return explain(name, err)
	}
	manifests := [][]byte{raw}
	if o.All {
		if manifests, err = instances(ctx, name, src, raw, kind); err != nil {
			return err
		}
	}
	for _, raw := range manifests {
		signed, err := gpg.Sign(ctx, raw, ref.DockerReference().String())
		if err != nil {
			return err
		}
		if err := addSignature(place, raw, signed); err != nil {
			return &Error{Name: name, Reason: "keep signature: " + err.Error(), Err: err}
		}
	}
	return nil
}

// registryRef is the image of a registry that name means.
func registryRef(name string) (types.ImageReference, error) {
	ref, err := alltransports.ParseImageName(name)
	if err != nil {
		ref, err = alltransports.ParseImageName("docker://" + name)
	}
	if err != nil {
		return nil, explain(name, err)
	}
	if ref.DockerReference() == nil || ref.Transport().Name() != docker.Transport.Name() {
		return nil, &Error{Name: name, Reason: "only images of registries are signed with GPG", Hint: "push it first, or use --sign-by-sigstore-private-key"}
	}
	return ref, nil
}

// instances are the manifests in a list.
func instances(ctx context.Context, name string, src types.ImageSource, raw []byte, kind string) ([][]byte, error) {
	if !manifest.MIMETypeIsMultiImage(kind) {
		return nil, &Error{Name: name, Reason: fmt.Sprintf("not a multi-architecture image (manifest type %s)", kind), Hint: "leave --all out"}
	}
	list, err := manifest.ListFromBlob(raw, kind)
	if err != nil {
		return nil, explain(name, err)
	}
	all := make([][]byte, 0, len(list.Instances()))
	for _, sum := range list.Instances() {
		raw, _, err := src.GetManifest(ctx, &sum)
		if err != nil {
			return nil, explain(name, err)
		}
		if ok, err := manifest.MatchesDigest(raw, sum); err != nil || !ok {
			return nil, &Error{Name: name, Reason: "the registry gives another manifest for " + sum.String(), Err: err}
		}
		all = append(all, raw)
	}
	return all, nil
}

// signatureStore is where signatures of a repository are kept, as the beginning of
// a path: @DIGEST follows.
func signatureStore(sys *types.SystemContext, ref types.ImageReference, directory string) (string, error) {
	if directory != "" {
		info, err := os.Stat(directory)
		if err != nil {
			return "", fmt.Errorf("--directory: %w", err)
		}
		if !info.IsDir() {
			return "", fmt.Errorf("--directory: %s is not a directory", directory)
		}
		return filepath.Join(directory, reference.Path(ref.DockerReference())), nil
	}
	base, err := docker.SignatureStorageBaseURL(sys, ref, true)
	if err != nil {
		return "", err
	}
	return localPath(base)
}

func localPath(at *url.URL) (string, error) {
	if at.Scheme != "file" {
		return "", fmt.Errorf("signatures can be written to file: places only, registries.d says %s: give a lookaside-staging there, or use --directory", at.Redacted())
	}
	return at.Path, nil
}

// addSignature writes a signature under the first number that is free, unless it
// is there already.
func addSignature(place string, raw, signed []byte) error {
	sum, err := manifest.Digest(raw)
	if err != nil {
		return err
	}
	dir := fmt.Sprintf("%s@%s=%s", place, sum.Algorithm(), sum.Encoded())
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // signatures are for all to read
		return err
	}
	for n := 1; n <= maxSignatures; n++ {
		path := filepath.Join(dir, fmt.Sprintf("signature-%d", n))
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as above
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.Write(signed)
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
		return err
	}
	return fmt.Errorf("%s has %d signatures already", dir, maxSignatures)
}

// gpg says early whether a signature by gpg can be made; it is nil if none is asked
// for. Close it afterwards.
func (o *Signing) gpg(ctx context.Context, destination string) (*trust.GPG, error) {
	if o.SignBy == "" {
		return nil, nil //nolint:nilnil // nothing is to be signed
	}
	if _, err := registryRef(destination); err != nil {
		return nil, err
	}
	gpg := &trust.GPG{Key: o.SignBy}
	if o.PassphraseFile != "" {
		var err error
		if gpg.Passphrase, err = o.passphrase(""); err != nil {
			return nil, err
		}
	}
	if err := gpg.Check(ctx); err != nil {
		gpg.Close(ctx)
		return nil, err
	}
	return gpg, nil
}

// signPushed signs with gpg what a push has written: the library's copies can only
// verify such signatures.
func (l *library) signPushed(ctx context.Context, gpg *trust.GPG, pushed Pushed, opts *PushOptions) error {
	if gpg == nil {
		return nil
	}
	ref, err := registryRef(pushed.Destination)
	if err != nil {
		return err
	}
	return ExplainAccess(&opts.Access, pushed.Destination, l.signAt(ctx, gpg, ref, digest.Digest(pushed.Digest), opts))
}

// signInstances signs with gpg the images that a push has brought along with a list:
// whoever pulls asks for the signature of the image, not of the list.
func (l *library) signInstances(ctx context.Context, gpg *trust.GPG, pushed Pushed, opts *PushOptions) error {
	if gpg == nil {
		return nil
	}
	ref, err := registryRef(pushed.Destination)
	if err != nil {
		return err
	}
	raw, _, err := signaturesOf(ctx, ref, withAccess(l.sys, &opts.Access), digest.Digest(pushed.Digest))
	if err != nil {
		return ExplainAccess(&opts.Access, pushed.Destination, err)
	}
	list, err := manifest.ListFromBlob(raw, manifest.GuessMIMEType(raw))
	if err != nil {
		return ExplainAccess(&opts.Access, pushed.Destination, err)
	}
	for _, sum := range list.Instances() {
		if err := l.signAt(ctx, gpg, ref, sum, opts); err != nil {
			return ExplainAccess(&opts.Access, pushed.Destination, err)
		}
	}
	return nil
}

// signAt signs with gpg what is at a registry, and keeps the signatures that it has
// unless they are to be removed.
func (l *library) signAt(ctx context.Context, gpg *trust.GPG, ref types.ImageReference, sum digest.Digest, opts *PushOptions) error {
	sys := withAccess(l.sys, &opts.Access)
	raw, all, err := signaturesOf(ctx, ref, sys, sum)
	if err != nil {
		return err
	}
	signed, err := gpg.Sign(ctx, raw, ref.DockerReference().String())
	if err != nil {
		return err
	}
	if opts.RemoveSignatures {
		all = nil
	}
	dest, err := ref.NewImageDestination(ctx, sys)
	if err != nil {
		return err
	}
	err = dest.PutSignatures(ctx, append(all, signed), &sum)
	return errors.Join(err, dest.Close())
}

// Signed runs a push of something else than an image to a registry, and adds gpg's
// signature to what it has written, if one is asked for. Whether gpg can sign is
// found out before.
func (s *Store) Signed(ctx context.Context, destination string, opts *PushOptions, push func() (digest.Digest, error)) (digest.Digest, error) {
	gpg, err := opts.gpg(ctx, destination)
	if err != nil {
		return "", err
	}
	if gpg == nil {
		return push()
	}
	defer gpg.Close(ctx)
	lib, err := s.writing()
	if err != nil {
		return "", err
	}
	written, err := push()
	if err != nil {
		return "", err
	}
	return written, lib.signPushed(ctx, gpg, Pushed{Destination: destination, Digest: written.String()}, opts)
}

// signaturesOf reads a manifest of a registry and the signatures that it has.
func signaturesOf(ctx context.Context, ref types.ImageReference, sys *types.SystemContext, sum digest.Digest) ([]byte, [][]byte, error) {
	src, err := ref.NewImageSource(ctx, sys)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = src.Close() }()
	raw, _, err := src.GetManifest(ctx, &sum)
	if err != nil {
		return nil, nil, err
	}
	if ok, err := manifest.MatchesDigest(raw, sum); err != nil || !ok {
		return nil, nil, fmt.Errorf("the registry gives another manifest for %s", sum)
	}
	all, err := src.GetSignatures(ctx, &sum)
	return raw, all, err
}

// withAccess are the settings of base with those of a.
func withAccess(base *types.SystemContext, a *Access) *types.SystemContext {
	sys := *base
	if a.Authfile != "" {
		sys.AuthFilePath = a.Authfile
	}
	if a.CertDir != "" {
		sys.DockerCertPath = a.CertDir
	}
	if a.TLSVerify != nil {
		sys.DockerInsecureSkipTLSVerify = insecure(a)
	}
	if a.Creds != "" {
		user, password, _ := strings.Cut(a.Creds, ":")
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: user, Password: password}
	}
	return &sys
}
