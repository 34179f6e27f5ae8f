package storage

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	digest "github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"
	"go.podman.io/storage/types"

	"github.com/rootless-pod/pod/pkg/storage/jsonlist"
)

// To open a store the library locks its lists one by one, decodes all images and all
// containers, and has the driver look at the directories: 2 % of the processor time of a
// run, and half of that of a create beside 1000 containers. Of a store that is known, what
// most commands ask is read from the library's files: it replaces them with renames, so
// that each is whole without a lock. It is opened when something else is asked.

// known says whether the library would open a store, as far as can be seen: it did so since
// the boot, with the same options of mount, and overlay is mounted by the kernel.
func known(conf *types.StoreOptions) bool {
	if !byKernel(conf) || slices.ContainsFunc(conf.GraphDriverOptions, func(o string) bool { return !wellFormed(o) }) {
		return false
	}
	p := place{conf.GraphRoot, conf.RunRoot, overlayName}
	for _, path := range []string{
		filepath.Join(p.graphRoot, overlayName, "l"), p.dir(p.graphRoot, "images"), p.dir(p.graphRoot, "layers"), p.dir(p.graphRoot, "containers"),
		p.dir(p.runRoot, "layers"), p.dir(p.runRoot, "containers"), filepath.Join(p.runRoot, overlayName, "overlay-true"),
	} {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	// The driver notes for each set of options what they lead to.
	note := filepath.Join(p.runRoot, overlayName, fmt.Sprintf("metacopy(%s)-", mountOptions(conf)))
	return slices.ContainsFunc([]string{"false", "true"}, func(answer string) bool {
		_, err := os.Stat(note + answer)
		return err == nil
	})
}

// mountOptions are those of the driver: the last that are given.
func mountOptions(conf *types.StoreOptions) (options string) {
	for _, option := range conf.GraphDriverOptions {
		if key, value, _ := strings.Cut(option, "="); driverKey(key) == "mountopt" {
			options = value
		}
	}
	return options
}

// driverKey is the name of an option without that of the driver.
func driverKey(key string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, "overlay2."), "overlay.")
}

// wellFormed says whether the driver would take an option that is not unlike plain.
func wellFormed(option string) bool {
	key, value, _ := strings.Cut(option, "=")
	switch driverKey(key) {
	case "mountopt":
		return true
	case "sync":
		return value == "none"
	case "ignore_chown_errors", "skip_mount_home":
		_, err := strconv.ParseBool(value)
		return err == nil
	}
	return false
}

// Image finds the image that has a full id, or a name.
func (s *Store) Image(key string) (*cstorage.Image, error) {
	if found, ok := s.imagesWith(`"` + key + `"`); ok {
		found = slices.DeleteFunc(found, func(i cstorage.Image) bool { return i.ID != key && !slices.Contains(i.Names, key) })
		if len(found) == 1 {
			return &found[0], nil
		}
	}
	// That there is none is for the library to say, and which of several it is.
	lib, err := s.opened()
	if err != nil {
		return nil, err
	}
	return lib.Image(key)
}

// Images are all images.
func (s *Store) Images() ([]cstorage.Image, error) {
	lib, err := s.opened()
	if err != nil {
		return nil, err
	}
	return lib.Images()
}

// ImagesEnding finds the images of which a name ends in a text.
func (s *Store) ImagesEnding(text string) ([]cstorage.Image, error) {
	found, ok := s.imagesWith(text + `"`)
	if !ok {
		var err error
		if found, err = s.Images(); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(found, func(i cstorage.Image) bool {
		return !slices.ContainsFunc(i.Names, func(name string) bool { return strings.HasSuffix(name, text) })
	}), nil
}

// imagesWith decodes the images in whose records a text stands, the end of a string of
// JSON with its quote. It returns false when that is for the library.
func (s *Store) imagesWith(text string) (found []cstorage.Image, ok bool) {
	if !s.known || !jsonlist.AsIs(strings.Trim(text, `"`)) {
		return nil, false
	}
	data, err := os.ReadFile(filepath.Join(s.place().dir(s.conf.GraphRoot, "images"), "images.json"))
	list := jsonlist.List(data)
	if err != nil || list.Check() != nil {
		return nil, false
	}
	for record, err := range list.Records() {
		if err != nil {
			return nil, false
		}
		if !bytes.Contains(record, []byte(text)) {
			continue
		}
		var img cstorage.Image
		if json.Unmarshal(record, &img) != nil || !addDigests(&img) {
			return nil, false
		}
		found = append(found, img)
	}
	return found, true
}

// addDigests fills in what the library computes. It returns false if the library would
// choose, or refuse the list.
func addDigests(img *cstorage.Image) bool {
	if img.Digest != "" {
		img.Digests = append(img.Digests, img.Digest)
	}
	for name, d := range img.BigDataDigests {
		if strings.HasPrefix(name, cstorage.ImageDigestManifestBigDataNamePrefix) && !slices.Contains(img.Digests, d) {
			img.Digests = append(img.Digests, d)
		}
	}
	return (img.Digest != "" || len(img.Digests) == 0) &&
		!slices.ContainsFunc(img.Digests, func(d digest.Digest) bool { return d.Validate() != nil })
}

// ImageData is a document that is kept with an image.
func (s *Store) ImageData(id, key string) ([]byte, error) {
	if s.known && strings.Contains(key, ":") { // which the library has in no name of a file
		file := "=" + base64.StdEncoding.EncodeToString([]byte(key))
		if data, err := os.ReadFile(filepath.Join(s.place().dir(s.conf.GraphRoot, "images"), id, file)); err == nil {
			return data, nil
		}
	}
	lib, err := s.opened()
	if err != nil {
		return nil, err
	}
	return lib.ImageBigData(id, key)
}

// named says whether a container in the library's lists has a name.
func (s *Store) named(name string) (bool, error) {
	if s.known && jsonlist.AsIs(name) && s.place().unnamed(name) {
		return false, nil
	}
	lib, err := s.opened()
	if err != nil {
		return false, err
	}
	c, err := lib.Container(name)
	return err == nil && slices.Contains(c.Names, name), nil
}

// unnamed says that no record of a container mentions a name.
func (p place) unnamed(name string) bool {
	return !slices.ContainsFunc([]string{"containers.json", "volatile-containers.json"}, func(file string) bool {
		data, err := os.ReadFile(filepath.Join(p.dir(p.graphRoot, "containers"), file))
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		list := jsonlist.List(data)
		return err != nil || list.Check() != nil || list.Mentions(name)
	})
}
