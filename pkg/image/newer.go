package image

import (
	"context"
	"errors"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker"

	"github.com/rootless-pod/pod/pkg/image/basic"
)

// Newer says whether the registry of name has another image than the local one
// with this id: for the platform of that one, where the name is of a list. Only
// manifests are read.
func (s *Store) Newer(ctx context.Context, id, name string, access Access) (bool, error) {
	lib, err := s.reading()
	if err != nil {
		return false, err
	}
	local, _, err := lib.LookupImage(id, nil)
	if err != nil {
		return false, explain(id, err)
	}
	remote, err := docker.ParseReference("//" + strings.TrimPrefix(name, "docker://"))
	if err != nil {
		return false, explain(name, err)
	}
	newer, err := Patiently(ctx, access, func() (bool, error) {
		return local.HasDifferentDigest(ctx, remote, &libimage.HasDifferentDigestOptions{
			AuthFilePath: access.Authfile, InsecureSkipTLSVerify: insecure(&access),
		})
	})
	if err != nil {
		return false, ExplainAccess(&access, name, err)
	}
	return newer, nil
}

// Moved gives a name back to the image old, if it is that of the image now: what
// somebody else has named meanwhile keeps the name. It says whether old has it.
func (s *Store) Moved(ctx context.Context, name, now, old string) (bool, error) {
	img, err := s.find(ctx, name)
	if errors.Is(err, ErrNoImage) {
		return true, s.Tag(ctx, old, name)
	}
	if err != nil {
		return false, err
	}
	switch img.ID {
	case old:
		return true, nil
	case now:
		return true, s.Tag(ctx, old, name)
	}
	return false, nil
}

// OtherPlatform is the platform to ask for where an image is for another machine
// than this one; empty for this one's, or if the image does not say.
func OtherPlatform(p string) string {
	if os, arch, _ := strings.Cut(p, "/"); os == "" || arch == "" || !basic.Foreign(p) {
		return ""
	}
	return p
}
