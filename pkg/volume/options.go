// Package volume owns what a volume is on the disk: what its driver's options
// mean, how its content is mounted, filled and removed. Which volumes there are, and who
// uses them, is libpod's matter.
package volume

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	units "github.com/docker/go-units"
)

// The drivers that pod has itself; any other is a plugin.
const (
	Local = "local"
	Image = "image"
)

// Options are what the options of a volume say.
type Options struct {
	// Recorded are the options as inspect shows them.
	Recorded map[string]string
	// Type, Device and Data are what is mounted with mount(8): -t, the source and
	// -o. All empty is a plain directory.
	Type, Device string
	Data         []string
	// UID and GID own the content; nil leaves that to the first use.
	UID, GID *int
	// NoCopy: the content of an image is never copied into the volume.
	NoCopy bool
	// Image is what a volume of the driver image is made of.
	Image string
}

// Flags are the options that hold for every mount of the content, the container's too.
func (o *Options) Flags() []string {
	var flags []string
	for _, word := range o.Data {
		switch word {
		case "ro", "noexec", "nosuid", "nodev", "noatime", "nodiratime", "sync", "dirsync":
			flags = append(flags, word)
		}
	}
	return flags
}

// Mounts says whether something must be mounted before the volume can be used.
func (o *Options) Mounts() bool { return o.Type != "" || o.Device != "" }

// Parse reads the options of a driver, as --opt KEY=VALUE has them. Those of a
// plugin are its own.
func Parse(driver string, given map[string]string) (*Options, error) {
	o := &Options{Recorded: map[string]string{}}
	switch driver {
	case Image:
		return o, o.parseImage(given)
	case Local:
	default:
		o.Recorded = maps.Clone(given)
		return o, nil
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if err := o.setLocal(key, given[key]); err != nil {
			return nil, err
		}
	}
	return o, o.checkLocal()
}

func (o *Options) parseImage(given map[string]string) error {
	for key, value := range given {
		if key != "image" {
			return fmt.Errorf("invalid mount option %s for driver 'image': invalid argument", key)
		}
		o.Image = value
	}
	o.Recorded = maps.Clone(given)
	if o.Image == "" {
		return errors.New("must provide an image name when creating a volume with the image driver: use --opt image=NAME")
	}
	return nil
}

func (o *Options) setLocal(key, value string) error {
	switch key {
	case "type":
		o.Type = value
	case "device":
		o.Device = value
	case "o":
		for word := range strings.SplitSeq(value, ",") {
			if err := o.setWord(word); err != nil {
				return err
			}
		}
	case "uid", "gid", "size", "inodes", "copy", "nocopy", "noquota":
		word := key
		if value != "" {
			word += "=" + value
		}
		if err := o.setWord(word); err != nil {
			return err
		}
		return nil // recorded by its own name
	default:
		return fmt.Errorf("invalid mount option %s for driver 'local': invalid argument: use type, device, o, uid, gid, size, inodes, copy or nocopy", key)
	}
	o.Recorded[key] = value
	return nil
}

// setWord applies one word of the option o.
func (o *Options) setWord(word string) error {
	key, value, _ := strings.Cut(word, "=")
	switch strings.ToLower(key) {
	case "":
		return nil
	case "uid", "gid":
		id, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return fmt.Errorf("volume option %s=%s: it is a number", key, value)
		}
		number := int(id)
		if key = strings.ToLower(key); key == "uid" {
			o.UID = &number
		} else {
			o.GID = &number
		}
		o.Recorded[strings.ToUpper(key)] = value
	case "size":
		if _, err := units.RAMInBytes(value); err != nil {
			return fmt.Errorf("volume option size=%s: it is a number of bytes, as 10m", value)
		}
		o.Recorded["SIZE"] = value
	case "inodes":
		if _, err := strconv.ParseUint(value, 10, 64); err != nil {
			return fmt.Errorf("volume option inodes=%s: it is a number", value)
		}
		o.Recorded["INODES"] = value
		word = "nr_inodes=" + value // as tmpfs has it
	case "noquota":
		o.Recorded["NOQUOTA"] = "true"
		return nil // pod sets no quotas
	case "nocopy":
		o.NoCopy = true
		o.Recorded["nocopy"] = ""
		return nil
	case "copy":
		o.Recorded["copy"] = ""
		return nil
	}
	o.Data = append(o.Data, word)
	return nil
}

// Check asks the host whether what is to be mounted is there.
func (o *Options) Check() error {
	if o.Type != "bind" {
		return nil
	}
	if _, err := os.Stat(o.Device); err != nil {
		return fmt.Errorf("invalid volume option device for driver 'local': %w", err)
	}
	return nil
}

// checkLocal refuses what could never be mounted.
func (o *Options) checkLocal() error {
	if o.Type == "bind" && o.Device == "" {
		return errors.New("invalid volume option type for driver 'local': a bind needs device=DIRECTORY")
	}
	if o.Mounts() {
		return nil
	}
	for _, word := range o.Data {
		key, _, _ := strings.Cut(word, "=")
		switch key {
		case "uid", "gid":
		case "size", "nr_inodes":
			return fmt.Errorf("volume option %s limits a file system of the volume's own: add --opt type=tmpfs --opt device=tmpfs (quotas of a directory are not supported)", word)
		default:
			return fmt.Errorf("volume option o=%s is of a mount: add --opt type=TYPE, and --opt device=DEVICE", word)
		}
	}
	o.Data = nil
	return nil
}
