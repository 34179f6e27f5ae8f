package image

import (
	"context"
	"fmt"
	"strings"

	"go.podman.io/common/libimage"
	commonconfig "go.podman.io/common/pkg/config"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/types"
)

// pullTags pulls every tag of a repository. The library's own AllTags asks for
// the list without the certificates and credentials of the options.
func (l *library) pullTags(ctx context.Context, name string, policy commonconfig.PullPolicy, access *Access, opts *libimage.PullOptions) ([]*libimage.Image, error) {
	sys := l.contextOf(access)
	resolved, err := shortnames.Resolve(sys, strings.TrimPrefix(name, "docker://"))
	if err != nil {
		return nil, err
	}
	var failed error
	for _, candidate := range resolved.PullCandidates {
		repo := reference.TrimNamed(candidate.Value)
		ref, err := docker.NewReference(reference.TagNameOnly(repo))
		if err != nil {
			return nil, err
		}
		tags, err := docker.GetRepositoryTags(ctx, sys, ref)
		if err != nil {
			failed = err
			continue
		}
		var all []*libimage.Image
		for _, tag := range tags {
			images, err := l.Pull(ctx, repo.Name()+":"+tag, policy, opts)
			if err != nil {
				return nil, fmt.Errorf("tag %s: %w", tag, err)
			}
			all = append(all, images...)
		}
		return all, nil
	}
	return nil, failed
}

// contextOf are the settings for registries with those of one command.
func (l *library) contextOf(access *Access) *types.SystemContext {
	sys := *l.sys
	ApplyAccess(access, &sys)
	return &sys
}
