// Package basic is what of images needs no image library: the words in which they are
// asked for, and the look-up of those that are here by a name that can mean one only.
// What runs containers needs no more, mostly, and linking the library would cost each
// start of it a third. All else is package image's.
package basic

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/lastuse"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// MaxConfig bounds an image's configuration; registries bound it the same.
const MaxConfig = 4 << 20

// Found is an image of the store and the name that led to it.
type Found struct {
	*cstorage.Image
	Name string
}

// Images are the images of a store of layers. It is safe for concurrent use.
type Images struct {
	store *storage.Store
	log   *slog.Logger
}

// New returns the images of store; log receives warnings. It reads nothing.
func New(store *storage.Store, log *slog.Logger) *Images { return &Images{store, log} }

// Find looks name up where the answer is plain: a full id, a full name, or a short name
// that a single image has. All other names, and unknown ones, are not ok: the image
// library says what they mean.
func (i *Images) Find(name string) (img Found, ok bool, err error) {
	if name == "" {
		return Found{}, false, &Error{Name: `""`, Reason: "an image name is missing"}
	}
	if strings.Contains(name, "@") {
		return Found{}, false, nil
	}
	if id := strings.TrimPrefix(name, "sha256:"); isID(id) {
		return i.exactly(id, "")
	}
	if domain, _, ok := strings.Cut(name, "/"); ok && (domain == "localhost" || strings.ContainsAny(domain, ".:")) {
		// It begins with a registry, so it is the only candidate.
		full := tagged(name)
		return i.exactly(full, full)
	}
	return i.findShort(name)
}

// exactly finds the image with a full id, or that has exactly this name.
func (i *Images) exactly(key, name string) (Found, bool, error) {
	img, err := i.store.Image(key)
	if errors.Is(err, cstorage.ErrImageUnknown) {
		return Found{}, false, nil
	}
	if err != nil {
		return Found{}, false, err
	}
	return plain(img, name)
}

// findShort finds the image of a short name if one image only can be meant,
// whatever registries.conf says. A name that may be the start of an id is left
// to the library.
func (i *Images) findShort(name string) (Found, bool, error) {
	if strings.Trim(name, "0123456789abcdef") == "" {
		return Found{}, false, nil
	}
	suffix := "/" + tagged(name)
	images, err := i.store.ImagesEnding(suffix)
	if err != nil {
		return Found{}, false, err
	}
	var hit *cstorage.Image
	var hitName string
	for n := range images {
		for _, candidate := range images[n].Names {
			if !strings.HasSuffix(candidate, suffix) {
				continue
			}
			if hit != nil {
				return Found{}, false, nil
			}
			hit, hitName = &images[n], candidate
		}
	}
	if hit == nil {
		return Found{}, false, nil
	}
	return plain(hit, hitName)
}

// tagged gives a name without a tag the usual one.
func tagged(name string) string {
	if last := name[strings.LastIndex(name, "/")+1:]; strings.Contains(last, ":") {
		return name
	}
	return name + ":latest"
}

// isID says whether s is a whole id.
func isID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// plain accepts an image that is no list of images.
func plain(img *cstorage.Image, name string) (Found, bool, error) {
	if !slices.Contains(img.BigDataNames, configKey(img)) {
		return Found{}, false, nil
	}
	return Found{Image: img, Name: NameOf(img, name)}, true, nil
}

// configKey is where the store keeps the configuration: an image's id is the
// digest of it.
func configKey(img *cstorage.Image) string { return "sha256:" + img.ID }

// NameOf is a full name of img, by which it was found if possible.
func NameOf(img *cstorage.Image, resolved string) string {
	if slices.Contains(img.Names, resolved) {
		return resolved
	}
	if len(img.Names) > 0 {
		return img.Names[0]
	}
	return ""
}

// RawConfig reads the image's configuration.
func (i *Images) RawConfig(img Found) ([]byte, error) {
	key := configKey(img.Image)
	if img.BigDataSizes[key] > MaxConfig {
		return nil, &Error{Name: img.ID, Reason: "the image's configuration is larger than 4 MiB"}
	}
	raw, err := i.store.ImageData(img.ID, key)
	if err != nil {
		return nil, &Error{
			Name: img.ID, Reason: "the image is damaged: its configuration is missing",
			Hint: "remove and pull it again", Err: err,
		}
	}
	return raw, nil
}

// Config is what run and create read of an image; asked is the name that the user gave.
func (i *Images) Config(img Found, asked string) (specgen.ImageConfig, error) {
	raw, err := i.RawConfig(img)
	if err != nil {
		return specgen.ImageConfig{}, err
	}
	config, err := ParseConfig(raw)
	if err != nil {
		return specgen.ImageConfig{}, &Error{Name: asked, Reason: "the image's configuration cannot be read: " + err.Error(), Err: err}
	}
	if _, arch, _ := strings.Cut(config.Platform, "/"); Foreign(config.Platform) && !strings.HasPrefix(arch, "wasm") {
		i.log.Warn(fmt.Sprintf("image %s is for %s, this machine is %s/%s", asked, config.Platform, runtime.GOOS, runtime.GOARCH))
	}
	config.ID, config.Digest, config.Name = img.ID, img.Digest.String(), img.Name
	if config.Created.IsZero() {
		config.Created = img.Created
	}
	return config, nil
}

// TopLayer is the layer of the store that an image consists of; asked is its name.
func TopLayer(img Found, asked string) (string, error) {
	if img.TopLayer == "" {
		return "", &Error{Name: asked, Reason: "the image has no layer"}
	}
	return img.TopLayer, nil
}

// MarkUsed notes that images are used now: made, brought, named, run, built on.
func (i *Images) MarkUsed(ids ...string) {
	for _, id := range ids {
		lastuse.Mark(i.store.Root(), id)
	}
}

// Foreign says of what an image was built for, OS/ARCH, that it is for other machines.
// Many images say nothing of either.
func Foreign(platform string) bool {
	os, arch, _ := strings.Cut(platform, "/")
	return os != "" && os != runtime.GOOS || arch != "" && arch != runtime.GOARCH
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

// ParseConfig reads the keys that pod uses. An Env entry without "=" or without
// a name has no meaning and is dropped.
func ParseConfig(raw []byte) (specgen.ImageConfig, error) {
	var doc document
	if len(raw) > MaxConfig {
		return specgen.ImageConfig{}, errors.New("larger than 4 MiB")
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return specgen.ImageConfig{}, err
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
		Platform: doc.OS + "/" + doc.Architecture,
	}, nil
}

func sortedKeys(set map[string]struct{}) []string {
	var keys []string
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
