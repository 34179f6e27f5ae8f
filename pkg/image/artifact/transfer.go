package artifact

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/pkg/libartifact"
	"go.podman.io/common/pkg/libartifact/types"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/image"
)

// AddOptions are those of Add.
type AddOptions struct {
	// Type is the artifact's, FileType that of the files; empty is found out.
	Type, FileType string
	// Annotations are of the artifact and of the files.
	Annotations map[string]string
	// Append adds to an artifact that is there; Replace puts this one in its place.
	Append, Replace bool
}

// usingTries bounds how often a command begins again because another one has changed
// the artifact meanwhile.
const usingTries = 32

// errChanged says that the artifact is not what it was.
var errChanged = errors.New("the artifact was changed by another command meanwhile")

// Add makes an artifact of files and returns its digest.
func (s *Store) Add(ctx context.Context, name string, paths []string, opts AddOptions) (digest.Digest, error) {
	switch {
	case opts.Append && opts.Type != "":
		return "", errors.New("--append and --type exclude each other: the artifact has a type already")
	case opts.Append && opts.Replace:
		return "", errors.New("--append and --replace exclude each other")
	}
	ref, err := full(name)
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		if err := regular(path); err != nil {
			return "", err
		}
	}
	for range usingTries {
		out, err := s.addOnce(ctx, name, ref, paths, opts)
		if !errors.Is(err, errChanged) {
			return out, image.Explain(name, err)
		}
	}
	return "", changed(name)
}

// changed is the error of usingTries that met another command each time.
func changed(name string) error {
	return &image.Error{Name: name, Reason: errChanged.Error(), Hint: "try again", Err: errChanged}
}

// regular refuses what is no file: a directory, and a FIFO for which it would wait.
func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return &image.Error{Name: path, Reason: "not a regular file"}
	}
	return image.Explain(path, err)
}

func (s *Store) addOnce(ctx context.Context, given string, ref libartifact.ArtifactReference, paths []string, opts AddOptions) (_ digest.Digest, err error) {
	old, err := s.Find(ctx, given)
	switch {
	case err != nil && (!errors.Is(err, ErrUnknown) || opts.Append):
		return "", err
	case err == nil && !opts.Append && !opts.Replace:
		return "", taken(given)
	}
	name := ref.String()
	stored := name
	if old != nil {
		stored = old.Name // older versions of the field store names without a tag
	}
	st, err := s.stage()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if opts.Append {
		if err := s.seed(st, name, old, false); err != nil {
			if s.replaced(ctx, given, old) {
				err = errChanged
			}
			return "", err
		}
	}
	var blobs []types.ArtifactBlob
	for _, path := range paths {
		blobs = append(blobs, types.ArtifactBlob{BlobFilePath: path, FileName: filepath.Base(path)})
	}
	out, err := st.store.Add(ctx, ref, blobs, &types.AddOptions{
		Annotations: opts.Annotations, ArtifactMIMEType: opts.Type, FileMIMEType: opts.FileType, Append: opts.Append,
	})
	if err != nil {
		return "", err
	}
	if stored != name {
		if err := rename(st, name, stored); err != nil {
			return "", err
		}
	}
	return *out, s.publish(ctx, st, stored, func(now *imgspec.Descriptor) error {
		switch {
		case opts.Append && (now == nil || now.Digest != old.Digest):
			return errChanged
		case now != nil && !opts.Append && !opts.Replace:
			return taken(name)
		}
		return nil
	})
}

func taken(name string) error {
	return &image.Error{Name: name, Reason: ErrExists.Error(), Hint: "use --append, --replace or another name", Err: ErrExists}
}

// rename gives the artifact in a stage another name.
func rename(st *stage, from, to string) error {
	index, err := readIndex(st.Path())
	if err != nil {
		return err
	}
	for i := range index.Manifests {
		if nameOf(&index.Manifests[i]) == from {
			index.Manifests[i].Annotations[imgspec.AnnotationRefName] = to
		}
	}
	return writeIndex(st.Path(), index)
}

// Pull brings an artifact from a registry and returns its digest.
func (s *Store) Pull(ctx context.Context, name string, opts image.PullOptions) (_ digest.Digest, err error) {
	ref, err := full(name)
	if err != nil {
		return "", err
	}
	options, err := image.LibraryPull(&opts)
	if err != nil {
		return "", err
	}
	// The policy looks at the signatures; the layout has no place for them.
	options.RemoveSignatures = true
	st, err := s.stage()
	if err != nil {
		return "", image.Explain(name, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	out, err := image.Patiently(ctx, opts.Access, func() (digest.Digest, error) {
		return st.store.Pull(ctx, ref, options.CopyOptions)
	})
	if err == nil {
		err = s.publish(ctx, st, ref.String(), func(*imgspec.Descriptor) error { return nil })
	}
	return out, image.ExplainAccess(&opts.Access, name, s.images.Rejected(ref.String(), opts.SignaturePolicy, err))
}

// Push brings a local artifact to the registry in its name and returns the digest
// there.
func (s *Store) Push(ctx context.Context, name string, opts image.PushOptions) (_ digest.Digest, err error) {
	options, err := opts.Library()
	if err != nil {
		return "", err
	}
	var st *stage
	defer func() {
		if st != nil {
			err = errors.Join(err, st.Close())
		}
	}()
	var ref libartifact.ArtifactReference
	err = s.using(ctx, name, func(a *Artifact) error {
		if a.Name == "" {
			return &image.Error{Name: name, Reason: "the artifact has no name, so no registry either"}
		}
		if ref, err = full(a.Name); err != nil {
			return err
		}
		if st == nil { // not for one that is not there
			if st, err = s.stage(); err != nil {
				return err
			}
		}
		return s.seed(st, ref.String(), a, true)
	})
	if err != nil {
		return "", image.Explain(name, err)
	}
	var out digest.Digest
	err = step.Do(ctx, "artifact.push", func() error {
		out, err = s.images.Signed(ctx, ref.String(), &opts, func() (digest.Digest, error) {
			return image.Patiently(ctx, opts.Access, func() (digest.Digest, error) {
				return st.store.Push(ctx, ref, ref, *options)
			})
		})
		return err
	})
	return out, image.ExplainAccess(&opts.Access, name, err)
}
