package image

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.podman.io/common/libimage"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/pkg/image/basic"
)

// ListOptions choose what List returns.
type ListOptions struct {
	// Filters are KEY=VALUE or KEY!=VALUE: after, before, containers, dangling,
	// digest, id, intermediate, label, manifest, readonly, reference, since,
	// until.
	Filters []string
	// All includes images that only hold layers of others.
	All bool
	// Details reads each image's configuration: labels, platform and parent.
	Details bool
	// Foreign says whether a container of the store is another tool's, for the
	// filter containers=external; nil means every container is pod's.
	Foreign func(id string) (bool, error)
}

// Summary is an image in a list.
type Summary struct {
	ID           string
	ParentID     string
	Names        []string
	NamesHistory []string
	RepoDigests  []string
	Digest       string
	Created      time.Time
	// Size counts layers that others share too.
	Size int64
	// LastUsed is when pod last used it.
	LastUsed time.Time
	// Containers is how many containers are made of it.
	Containers int
	ReadOnly   bool
	// Dangling images have no name and nothing built on them.
	Dangling bool
	// List says that it is a list of images for several platforms.
	List     bool
	Labels   map[string]string
	OS, Arch string
}

// List returns the images of the store.
func (s *Store) List(ctx context.Context, opts ListOptions) ([]Summary, error) {
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	filters := slices.Clone(opts.Filters)
	if !opts.All && s.hasUnnamed() {
		filters = append(filters, "intermediate=false")
	}
	images, err := lib.ListImages(ctx, &libimage.ListImagesOptions{
		Filters: filters, SetListData: opts.Details, IsExternalContainerFunc: opts.Foreign,
	})
	if err != nil {
		return nil, explainFilter(err)
	}
	sizes, err := s.storage.ImageSizes(ctx)
	if err != nil {
		return nil, err
	}
	users, err := s.users()
	if err != nil {
		return nil, err
	}
	out := make([]Summary, 0, len(images))
	for _, img := range images {
		sum, err := s.summary(ctx, img, opts.Details)
		if err != nil {
			return nil, err
		}
		sum.Size, sum.Containers = sizes[sum.ID], len(users[sum.ID])
		if opts.Details {
			sum.LastUsed = s.LastUsed(sum.ID, sum.Created)
		}
		out = append(out, sum)
	}
	return out, nil
}

// explainFilter keeps the library's words on filters, which are plain.
func explainFilter(err error) error {
	return fmt.Errorf("list images: %w", err)
}

// hasUnnamed says whether an image without name is in the store; only among
// those are the intermediate ones, which are costly to tell.
func (s *Store) hasUnnamed() bool {
	images, err := s.storage.Images()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(images, func(img cstorage.Image) bool { return len(img.Names) == 0 })
}

// users lists the containers of each image, those of other tools too.
func (s *Store) users() (map[string][]string, error) {
	lib, err := s.storage.Library()
	if err != nil {
		return nil, err
	}
	containers, err := lib.Containers()
	if err != nil {
		return nil, fmt.Errorf("list containers of the store: %w", err)
	}
	users := map[string][]string{}
	for i := range containers {
		users[containers[i].ImageID] = append(users[containers[i].ImageID], containers[i].ID)
	}
	return users, nil
}

// summary tells what the store knows of an image without reading its files,
// and with details the rest.
func (s *Store) summary(ctx context.Context, img *libimage.Image, details bool) (Summary, error) {
	sum := Summary{
		ID: img.ID(), Names: img.Names(), NamesHistory: img.NamesHistory(), Digest: img.Digest().String(),
		Created: img.Created(), ReadOnly: img.IsReadOnly(), Dangling: len(img.Names()) == 0,
	}
	digests, err := img.RepoDigests()
	if err != nil {
		return sum, explain(img.ID(), err)
	}
	sum.RepoDigests = digests
	if !details {
		return sum, nil
	}
	if img.ListData.IsDangling != nil {
		sum.Dangling = *img.ListData.IsDangling
	}
	if img.ListData.Parent != nil {
		sum.ParentID = img.ListData.Parent.ID()
	}
	if sum.List, err = img.IsManifestList(ctx); err != nil || sum.List {
		return sum, nil //nolint:nilerr // a damaged image is listed, with what is known of it
	}
	raw, err := s.basic.RawConfig(basic.Found{Image: img.StorageImage()})
	if err != nil {
		return sum, nil //nolint:nilerr // as above
	}
	if config, err := basic.ParseConfig(raw); err == nil {
		sum.Labels = config.Labels
		sum.OS, sum.Arch, _ = strings.Cut(config.Platform, "/")
	}
	return sum, nil
}

// Usage is what an image takes of the disk.
type Usage struct {
	ID, Repository, Tag string
	Created             time.Time
	Containers          int
	// Size is Shared, which other images use too, and Unique together.
	Size, Shared, Unique int64
}

// DiskUsage returns what every image takes, under each of its names. The sizes
// do not add up: images share layers.
func (s *Store) DiskUsage(ctx context.Context) ([]Usage, error) {
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	all, _, err := lib.DiskUsage(ctx)
	if err != nil {
		return nil, explain("disk usage of images", err)
	}
	out := make([]Usage, 0, len(all))
	for _, u := range all {
		out = append(out, Usage{
			ID: u.ID, Repository: u.Repository, Tag: u.Tag, Created: u.Created, Containers: u.Containers,
			Size: u.Size, Shared: u.SharedSize, Unique: u.UniqueSize,
		})
	}
	return out, nil
}

// SplitName takes a full name apart into repository and tag; what is not
// there is "<none>", as lists show it.
func SplitName(name string) (repository, tag string) {
	if name == "" {
		return "<none>", "<none>"
	}
	base, _, digested := strings.Cut(name, "@")
	slash := strings.LastIndex(base, "/")
	if colon := strings.LastIndex(base, ":"); colon > slash {
		return base[:colon], base[colon+1:]
	}
	if digested {
		return base, "<none>"
	}
	return base, "latest"
}
