package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxMountData is what mount(2) takes of options: a page.
const maxMountData = 4096

// Scratch describes an overlay whose changes end with a container of the store.
type Scratch struct {
	// Owner is the container; the overlay's own layer lies in its directory, below
	// Name.
	Owner, Name string
	// Image or Container is whose root file system lies below; or Dir.
	Image, Container, Dir string
	// UID and GID own the layer: root, as the container sees it.
	UID, GID int
	// UserXattr: the overlay is mounted without real root.
	UserXattr bool
}

// Overlay makes the directories of an overlay and returns its mount options. Whoever
// mounts it holds what lies below: nothing there is changed or counted.
func (s *Store) Overlay(ctx context.Context, o Scratch) ([]string, error) {
	lower := []string{o.Dir}
	if o.Dir == "" {
		var err error
		if lower, err = s.layerDirs(ctx, o); err != nil {
			return nil, err
		}
	}
	if _, err := s.Container(ctx, o.Owner); err != nil {
		return nil, err
	}
	home := s.ContainerDir(o.Owner)
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of %s: %w", o.Owner, noSpace(err))
	}
	upper, work := filepath.Join(home, o.Name, "upper"), filepath.Join(home, o.Name, "work")
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the mode of the root directory; its parents are closed
			return nil, fmt.Errorf("make a scratch layer: %w", noSpace(err))
		}
		if err := os.Chown(dir, o.UID, o.GID); err != nil {
			return nil, fmt.Errorf("make a scratch layer: %w", err)
		}
	}
	options := []string{"lowerdir=" + strings.Join(lower, ":"), "upperdir=" + upper, "workdir=" + work}
	if o.UserXattr {
		options = append(options, "userxattr")
	}
	for _, dir := range append(lower, upper) {
		if strings.ContainsAny(dir, ":,\\") {
			return nil, fmt.Errorf("overlay over %s: the path holds a colon, a comma or a backslash, which mount options cannot", dir)
		}
	}
	if len(strings.Join(options, ",")) >= maxMountData {
		return nil, fmt.Errorf("overlay over %d layers: their paths are longer than the page that mount(2) takes: move the store to a shorter path (--root)", len(lower))
	}
	return options, nil
}

// layerDirs are the directories of the layers of an image or a container, the
// top one first.
func (s *Store) layerDirs(ctx context.Context, o Scratch) ([]string, error) {
	if p, err := s.passingByID(ctx, o.Container); err != nil {
		return nil, err
	} else if p != nil {
		dirs := []string{filepath.Join(s.graphOf(p.layer), "diff")}
		for _, dir := range p.Lower {
			dirs = append(dirs, shortLayer(dir))
		}
		return dirs, nil
	}
	what, layer := o.Container, ""
	if o.Container != "" {
		c, err := s.Container(ctx, o.Container)
		if err != nil {
			return nil, err
		}
		layer = c.LayerID
	} else {
		what = o.Image
		img, err := s.Image(o.Image)
		if err != nil {
			return nil, translate("layers of", o.Image, err)
		}
		layer = img.TopLayer
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	driver, err := lib.GraphDriver()
	if err != nil {
		return nil, fmt.Errorf("driver of the store: %w", err)
	}
	if driver.String() != "overlay" {
		return []string{filepath.Join(s.conf.GraphRoot, "vfs", "dir", layer)}, s.onlyVFS(driver.String())
	}
	for _, opt := range s.conf.GraphDriverOptions {
		if _, program, ok := strings.Cut(opt, "mount_program="); ok && program != "" {
			return nil, errors.New("the store's layers are mounted by " + program + ": an overlay over them needs the kernel's own (drop mount_program from storage.conf)")
		}
	}
	data, err := driver.Metadata(layer)
	if err != nil {
		return nil, translate("layers of", what, err)
	}
	var dirs []string
	for dir := range strings.SplitSeq(data["UpperDir"]+":"+data["LowerDir"], ":") {
		if dir != "" {
			dirs = append(dirs, shortLayer(dir))
		}
	}
	return dirs, nil
}

func (s *Store) onlyVFS(driver string) error {
	if driver == "vfs" {
		return nil
	}
	return fmt.Errorf("the store's driver is %s: an overlay over its layers is not supported yet", driver)
}

// shortLayer is the link that the driver keeps for a layer since paths must fit into
// the options of mount(2); the directory itself if there is none.
func shortLayer(dir string) string {
	layer := filepath.Dir(dir)
	name, err := os.ReadFile(filepath.Join(layer, "link"))
	if err != nil {
		return dir
	}
	link := filepath.Join(filepath.Dir(layer), "l", strings.TrimSpace(string(name)))
	if target, err := filepath.EvalSymlinks(link); err != nil || target != dir {
		return dir
	}
	return link
}
