package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker/reference"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// maxConfig bounds an image's configuration; registries bound it the same.
const maxConfig = 4 << 20

// found is an image of the store and the name that led to it.
type found struct {
	*cstorage.Image
	name string
}

// Resolve finds a local image and reads its configuration, for run and create.
// It costs one look into the list of images and one file.
func (s *Store) Resolve(ctx context.Context, name string) (specgen.ImageConfig, error) {
	img, err := s.find(ctx, name)
	if err != nil {
		return specgen.ImageConfig{}, err
	}
	raw, err := s.config(img)
	if err != nil {
		return specgen.ImageConfig{}, err
	}
	config, platform, err := parseConfig(raw)
	if err != nil {
		return specgen.ImageConfig{}, &Error{Name: name, Reason: "the image's configuration cannot be read: " + err.Error(), Err: err}
	}
	config.Platform = platform.os + "/" + platform.arch
	if platform.foreign() && !strings.HasPrefix(platform.arch, "wasm") {
		s.log.Warn(fmt.Sprintf("image %s is for %s/%s, this machine is %s/%s",
			name, platform.os, platform.arch, runtime.GOOS, runtime.GOARCH))
	}
	config.ID, config.Digest, config.Name = img.ID, img.Digest.String(), img.name
	if config.Created.IsZero() {
		config.Created = img.Created
	}
	return config, nil
}

// Exists says whether a local image answers to name.
func (s *Store) Exists(ctx context.Context, name string) (bool, error) {
	_, err := s.find(ctx, name)
	if errors.Is(err, ErrNoImage) {
		return false, nil
	}
	return err == nil, err
}

// find looks name up as libimage does, without its cost where the answer is
// plain: a full name, a full id, or a short name that a single image has.
func (s *Store) find(ctx context.Context, name string) (found, error) {
	if err := ctx.Err(); err != nil {
		return found{}, err
	}
	if name == "" {
		return found{}, &Error{Name: `""`, Reason: "an image name is missing"}
	}
	img, ok, err := s.findPlain(name)
	if err != nil {
		return found{}, explain(name, err)
	}
	if ok {
		return img, nil
	}
	lib, err := s.reading()
	if err != nil {
		return found{}, err
	}
	got, resolved, err := lib.LookupImage(name, &libimage.LookupImageOptions{})
	if err != nil {
		return found{}, explain(name, err)
	}
	return found{Image: got.StorageImage(), name: nameOf(got.StorageImage(), resolved)}, nil
}

func (s *Store) findPlain(name string) (found, bool, error) {
	store := s.storage.Library()
	if id := strings.TrimPrefix(name, "sha256:"); reference.IsFullIdentifier(id) {
		img, err := store.Image(id)
		if errors.Is(err, cstorage.ErrImageUnknown) {
			return found{}, false, nil
		}
		return plain(img, "", err)
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || strings.Contains(name, "@") {
		return found{}, false, nil //nolint:nilerr // not a plain name: libimage says what it is
	}
	full := reference.TagNameOnly(named).String()
	if strings.HasPrefix(full, strings.TrimSuffix(name, ":latest")) && strings.ContainsAny(name, "/") {
		// name began with a registry, so it is the only candidate.
		if domain := reference.Domain(named); strings.HasPrefix(name, domain+"/") {
			img, err := store.Image(full)
			if errors.Is(err, cstorage.ErrImageUnknown) {
				return found{}, false, nil
			}
			return plain(img, full, err)
		}
	}
	return s.findShort(name)
}

// findShort finds the image of a short name if one image only can be meant,
// whatever registries.conf says. A name that may be the start of an id is left
// to libimage.
func (s *Store) findShort(name string) (found, bool, error) {
	if strings.Trim(name, "0123456789abcdef") == "" {
		return found{}, false, nil
	}
	images, err := s.storage.Library().Images()
	if err != nil {
		return found{}, false, err
	}
	suffix := "/" + name
	if last := name[strings.LastIndex(name, "/")+1:]; !strings.Contains(last, ":") {
		suffix += ":latest"
	}
	var hit *cstorage.Image
	var hitName string
	for i := range images {
		for _, candidate := range images[i].Names {
			if !strings.HasSuffix(candidate, suffix) {
				continue
			}
			if hit != nil {
				return found{}, false, nil
			}
			hit, hitName = &images[i], candidate
		}
	}
	if hit == nil {
		return found{}, false, nil
	}
	return plain(hit, hitName, nil)
}

// plain accepts an image that is no list of images.
func plain(img *cstorage.Image, name string, err error) (found, bool, error) {
	if err != nil {
		return found{}, false, err
	}
	if !slices.Contains(img.BigDataNames, configKey(img)) {
		return found{}, false, nil
	}
	return found{Image: img, name: nameOf(img, name)}, true, nil
}

// configKey is where the store keeps the configuration: an image's id is the
// digest of it.
func configKey(img *cstorage.Image) string { return "sha256:" + img.ID }

// nameOf is a full name of img, by which it was found if possible.
func nameOf(img *cstorage.Image, resolved string) string {
	if slices.Contains(img.Names, resolved) {
		return resolved
	}
	if len(img.Names) > 0 {
		return img.Names[0]
	}
	return ""
}

// config reads the image's configuration.
func (s *Store) config(img found) ([]byte, error) {
	key := configKey(img.Image)
	if img.BigDataSizes[key] > maxConfig {
		return nil, &Error{Name: img.ID, Reason: "the image's configuration is larger than 4 MiB"}
	}
	raw, err := s.storage.Library().ImageBigData(img.ID, key)
	if err != nil {
		return nil, &Error{
			Name: img.ID, Reason: "the image is damaged: its configuration is missing",
			Hint: "remove and pull it again", Err: err,
		}
	}
	return raw, nil
}

// platform is what an image says it was built for.
type platform struct{ os, arch string }

// foreign says that the image is for other machines. Many images say nothing.
func (p platform) foreign() bool {
	return p.os != "" && p.os != runtime.GOOS || p.arch != "" && p.arch != runtime.GOARCH
}

// document is the part of an image's configuration that pod reads. Everything
// else in it, ONBUILD included, is not looked at.
type document struct {
	Created      time.Time `json:"created"`
	OS           string    `json:"os"`
	Architecture string    `json:"architecture"`
	Config       struct {
		Entrypoint   []string
		Cmd          []string
		Env          []string
		WorkingDir   string
		User         string
		StopSignal   string
		Labels       map[string]string
		Volumes      map[string]struct{}
		ExposedPorts map[string]struct{}
		Healthcheck  *struct {
			Test                           []string
			Interval, Timeout, StartPeriod time.Duration
			Retries                        int
		}
	} `json:"config"`
}

// parseConfig reads the keys that pod uses. An Env entry without "=" or without
// a name has no meaning and is dropped.
func parseConfig(raw []byte) (specgen.ImageConfig, platform, error) {
	var doc document
	if len(raw) > maxConfig {
		return specgen.ImageConfig{}, platform{}, errors.New("larger than 4 MiB")
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return specgen.ImageConfig{}, platform{}, err
	}
	c := doc.Config
	env := slices.DeleteFunc(c.Env, func(pair string) bool {
		return strings.IndexByte(pair, '=') < 1 || strings.ContainsRune(pair, 0)
	})
	var health *specgen.ImageHealth
	if c.Healthcheck != nil {
		checked := specgen.ImageHealth(*c.Healthcheck)
		health = &checked
	}
	return specgen.ImageConfig{
		Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: env, WorkingDir: c.WorkingDir, User: c.User,
		StopSignal: c.StopSignal, Labels: c.Labels, Health: health,
		Volumes: sortedKeys(c.Volumes), ExposedPorts: sortedKeys(c.ExposedPorts), Created: doc.Created,
	}, platform{os: doc.OS, arch: doc.Architecture}, nil
}

func sortedKeys(set map[string]struct{}) []string {
	var keys []string
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
