package autoupdate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.podman.io/storage/pkg/ioutils"
)

// phase says how far an update has come. It is written before the work it names.
type phase string

const (
	// phaseUpdate: the new image comes, and what runs is restarted with it.
	phaseUpdate phase = "update"
	// phaseUndo: it did not prove itself, the old image is brought back.
	phaseUndo phase = "undo"
	// phaseDone: it did; what is left of the old one goes.
	phaseDone phase = "done"
	// phaseOver: nothing is to be done but to let go of images.
	phaseOver phase = "over"
)

// entry is one update that is under way: of a unit, or of a container that pod
// makes anew.
type entry struct {
	Phase phase     `json:"phase"`
	Began time.Time `json:"began"`
	// Unit is restarted; empty: pod makes the only item anew.
	Unit  string `json:"unit,omitempty"`
	Items []item `json:"items"`
	// Held are the images that are kept until the entry is gone.
	Held []string `json:"held,omitempty"`
}

// item is a container of an entry.
type item struct {
	// ID and Name are of the container before the update, Unit is its own.
	ID   string `json:"id"`
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"`
	// Image is the name that leads to the old image before and to the new one after;
	// Old and New are their ids. New is empty until it is here.
	Image string `json:"image"`
	Old   string `json:"old"`
	New   string `json:"new,omitempty"`
	// Remove: the container was to go with its end (--rm).
	Remove bool `json:"remove,omitempty"`
}

// journal is the directory of the entries, beside the store's images.
type journal struct{ dir string }

const journalSuffix = ".json"

func newJournal(graphRoot string) journal {
	return journal{filepath.Join(graphRoot, "pod", "auto-update")}
}

// path is the file of an entry; it follows from what is updated.
func (j journal) path(e *entry) string {
	key := "unit " + e.Unit
	if e.Unit == "" && len(e.Items) > 0 {
		key = "container " + e.Items[0].ID
	}
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(j.dir, hex.EncodeToString(sum[:8])+journalSuffix)
}

// write makes an entry durable.
func (j journal) write(e *entry) error {
	data, err := json.Marshal(e)
	if err == nil {
		err = os.MkdirAll(j.dir, 0o700)
	}
	if err == nil {
		err = ioutils.AtomicWriteFile(j.path(e), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write what an update is about to do: %w", err)
	}
	return nil
}

// remove removes an entry that is finished.
func (j journal) remove(e *entry) error {
	if err := os.Remove(j.path(e)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the note of an update: %w", err)
	}
	return nil
}

// read returns the entries that killed commands have left.
func (j journal) read() ([]*entry, error) {
	files, err := os.ReadDir(j.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what updates were about to do: %w", err)
	}
	var all []*entry
	for _, f := range files {
		path := filepath.Join(j.dir, f.Name())
		if !strings.HasSuffix(f.Name(), journalSuffix) || strings.HasPrefix(f.Name(), ".") {
			if err := os.Remove(path); err != nil { // of a write that was killed
				return nil, fmt.Errorf("remove a file that was not finished: %w", err)
			}
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read what an update was about to do: %w", err)
		}
		e := &entry{}
		if err := json.Unmarshal(data, e); err != nil {
			return nil, fmt.Errorf("read what an update was about to do: %s: %w: remove the file if its containers are well", path, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// holds says whether an entry other than but keeps an image.
func (j journal) holds(all []*entry, but *entry, image string) bool {
	return slices.ContainsFunc(all, func(e *entry) bool {
		return j.path(e) != j.path(but) && slices.Contains(e.Held, image)
	})
}
