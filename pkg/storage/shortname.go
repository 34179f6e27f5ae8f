package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rootless-pod/pod/pkg/storage/jsonlist"
)

// dropEmptyNote removes a layer's short name, and the file in its directory that notes
// it, if a kill or a full disk has left that file empty. The overlay driver joins the name
// to the directory of all short names and removes what it gets, so with an empty one those
// of all layers: other tools could mount no image any more.
func (s *Store) dropEmptyNote(layer string) error {
	if s.conf.GraphDriverName != overlayName || layer != filepath.Base(layer) {
		return nil
	}
	note := filepath.Join(s.layerDir(layer), "link")
	info, err := os.Lstat(note)
	if err == nil && info.Size() == 0 {
		if err = s.dropShortNames(layer); err == nil {
			err = os.Remove(note)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("short name of layer %s: %w", layer, err)
	}
	return nil
}

// dropShortNames removes what in the directory of short names leads to a layer.
func (s *Store) dropShortNames(layer string) error {
	names, err := os.ReadDir(s.layerDir("l"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, n := range names {
		name := filepath.Join(s.layerDir("l"), n.Name())
		if target, err := os.Readlink(name); err != nil || target != filepath.Join("..", layer, "diff") {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// dropEmptyNotes does so with the layers that nobody has finished, before the library
// removes them: it does when it locks its lists to write them, so this is for what writes
// (once each), not for the many commands that read. What cannot be looked at
// is for the library to complain of.
func (s *Store) dropEmptyNotes() {
	for _, name := range []string{"layers.json", "volatile-layers.json"} {
		data, err := os.ReadFile(filepath.Join(s.place().dir(s.conf.GraphRoot, "layers"), name))
		if err != nil || !jsonlist.List(data).Mentions("incomplete") {
			continue
		}
		var layers []struct {
			ID    string         `json:"id"`
			Flags map[string]any `json:"flags"`
		}
		if json.Unmarshal(data, &layers) != nil {
			continue
		}
		for _, l := range layers {
			if l.Flags["incomplete"] != nil {
				_ = s.dropEmptyNote(l.ID)
			}
		}
	}
}
