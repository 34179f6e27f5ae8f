package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	encconfig "github.com/containers/ocicrypt/config"
	"github.com/containers/ocicrypt/helpers"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/image/v5/transports/alltransports"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/step"
)

// PushOptions say how an image is brought elsewhere.
type PushOptions struct {
	Access
	Signing
	// Format of the manifest is oci or v2s2; empty keeps the image's.
	Format string
	// CompressionFormat of layers is gzip, zstd or zstd:chunked; empty keeps what
	// is compressed and makes the rest gzip.
	CompressionFormat string
	// CompressionLevel nil is the format's own.
	CompressionLevel *int
	// ForceCompression sends no layer that is compressed otherwise, and does not
	// take one that the destination has already.
	ForceCompression bool
	// Compress compresses the layers of dir:.
	Compress bool
	// EncryptionKeys are PROTOCOL:KEY; EncryptLayers counts from 0, or from the end
	// with negative numbers. None means all.
	EncryptionKeys []string
	EncryptLayers  []int
	// RemoveSignatures leaves those behind that the image has.
	RemoveSignatures bool
	// Quiet writes no progress; else it goes to Progress, as bars when that is
	// a terminal.
	Quiet    bool
	Progress io.Writer
}

// Pushed is what Push left at the destination.
type Pushed struct {
	// ID is the local image.
	ID string
	// Destination as it was given, or the image's name.
	Destination string
	// Digest is that of the manifest written.
	Digest string
}

// Push brings a local image to a registry or another transport (docker://, dir:,
// docker-archive:, docker-daemon:, oci:, oci-archive:, containers-storage:). An
// empty destination is the registry in the image's name. A list of images of
// which none is here for this machine is pushed whole.
func (s *Store) Push(ctx context.Context, name, destination string, opts PushOptions) (Pushed, error) {
	options, err := opts.Library()
	if err != nil {
		return Pushed{}, err
	}
	lib, err := s.writing()
	if err != nil {
		return Pushed{}, err
	}
	img, resolved, err := lib.LookupImage(name, nil)
	if errors.Is(err, cstorage.ErrImageUnknown) {
		if list, listErr := lib.LookupManifestList(name); listErr == nil {
			return lib.pushList(ctx, list, name, destination, PushListOptions{PushOptions: opts})
		}
	}
	if err != nil {
		return Pushed{}, explain(name, err)
	}
	out := Pushed{ID: img.ID(), Destination: destination}
	if destination == "" {
		if _, err := reference.ParseNamed(resolved); err != nil {
			return Pushed{}, noRegistry(name, err)
		}
		out.Destination = resolved
	}
	gpg, err := opts.gpg(ctx, out.Destination)
	if err != nil {
		return Pushed{}, err
	}
	if gpg != nil {
		defer gpg.Close(ctx)
	}
	err = step.Do(ctx, "image.push", func() error {
		raw, err := Patiently(ctx, opts.Access, func() ([]byte, error) {
			return lib.Push(ctx, name, out.Destination, &libimage.PushOptions{CopyOptions: *options})
		})
		if err != nil {
			return err
		}
		written, err := manifest.Digest(raw)
		if out.Digest = written.String(); err != nil {
			return err
		}
		return lib.signPushed(ctx, gpg, out, &opts)
	})
	return out, explainPush(name, destination, out.Destination, opts, err)
}

// Library turns the options into libimage's.
func (o *PushOptions) Library() (*libimage.CopyOptions, error) {
	out := &libimage.CopyOptions{
		CompressionLevel: o.CompressionLevel, ForceCompressionFormat: o.ForceCompression,
		DirForceCompress: o.Compress, RemoveSignatures: o.RemoveSignatures,
	}
	fill(out, &o.Access)
	if !o.Quiet {
		out.Writer = o.Progress
	}
	switch o.Format {
	case "":
	case FormatOCI:
		out.ManifestMIMEType = ociv1.MediaTypeImageManifest
	case "v2s2", FormatDocker:
		out.ManifestMIMEType = manifest.DockerV2Schema2MediaType
	default:
		return nil, fmt.Errorf("unknown format %q: use oci or v2s2", o.Format)
	}
	if o.CompressionFormat != "" {
		algorithm, err := compression.AlgorithmByName(o.CompressionFormat)
		if err != nil {
			return nil, fmt.Errorf("--compression-format %q: use gzip, zstd or zstd:chunked", o.CompressionFormat)
		}
		out.CompressionFormat = &algorithm
	} else if o.ForceCompression {
		return nil, errors.New("--force-compression needs --compression-format")
	}
	var err error
	if out.OciEncryptConfig, out.OciEncryptLayers, err = o.encryption(); err != nil {
		return nil, err
	}
	return out, o.sign(out)
}

// encryption reads the keys.
func (o *PushOptions) encryption() (*encconfig.EncryptConfig, *[]int, error) {
	if len(o.EncryptionKeys) == 0 {
		if len(o.EncryptLayers) > 0 {
			return nil, nil, errors.New("--encrypt-layer needs --encryption-key")
		}
		return nil, nil, nil
	}
	config, err := helpers.CreateCryptoConfig(o.EncryptionKeys, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("--encryption-key: %w", err)
	}
	layers := o.EncryptLayers
	if layers == nil {
		layers = []int{} // all
	}
	return config.EncryptConfig, &layers, nil
}

func noRegistry(name string, err error) error {
	return &Error{
		Name: name, Reason: "the image's name has no registry", Err: err,
		Hint: "say where to: pod push " + name + " REGISTRY/NAME[:TAG]",
	}
}

// explainDaemon looks whether there is a Docker daemon: the library says that a
// pipe is closed when there is none.
func explainDaemon(used string, err error) error {
	address := cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock")
	path, ok := strings.CutPrefix(address, "unix://")
	if !ok {
		return nil
	}
	conn, dialErr := net.Dial("unix", path) //nolint:noctx // a socket of this host
	if dialErr == nil {
		_ = conn.Close()
		return nil
	}
	var why syscall.Errno
	errors.As(dialErr, &why)
	return &Error{
		Name: used, Reason: "no Docker daemon answers at " + path + " (" + why.Error() + ")", Err: err,
		Hint: "start it, set DOCKER_HOST, or push to docker-archive:FILE",
	}
}

// explainPush says what is wrong with a destination.
func explainPush(name, given, used string, opts PushOptions, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case strings.HasPrefix(used, "localhost/") && given == "" && strings.Contains(text, "pinging container registry localhost"):
		return noRegistry(name, err)
	case strings.Contains(text, "docker-archive doesn't support modifying existing images"):
		return &Error{Name: used, Reason: "the file exists already", Hint: "remove it, or choose another", Err: err}
	case strings.HasPrefix(used, "docker-daemon:"):
		if out := explainDaemon(used, err); out != nil {
			return out
		}
	}
	if _, parseErr := alltransports.ParseImageName(used); parseErr != nil {
		if _, parseErr := alltransports.ParseImageName("docker://" + used); parseErr != nil {
			return explain(used, parseErr)
		}
	}
	return ExplainAccess(&opts.Access, used, err)
}
