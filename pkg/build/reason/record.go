// Package reason remembers what builds were made of, and says what has changed
// when a step of the next one is not in the cache. A record has no content: only
// texts of instructions, which are in the image's history too, and digests.
package reason

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/wholefile"
)

const (
	version = 1
	// maxRecords is how many builds are remembered.
	maxRecords = 200
	// maxSize is that of a record that is read.
	maxSize = 64 << 20
)

// Key tells builds apart: what is built again has the same key.
type Key struct {
	// Context and Files as the user named them, absolute where they are paths.
	Context  string
	Files    []string
	Target   string
	Platform string
}

func (k *Key) name() string {
	data, _ := json.Marshal(k) // strings
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// Record is what a build was made of.
type Record struct {
	Version int           `json:"version"`
	Stages  []StageRecord `json:"stages"`
	// Args are digests of the build arguments, Options those of other flags.
	Args    map[string]string `json:"args,omitempty"`
	Options map[string]string `json:"options,omitempty"`
	// Whole: the files of the context follow.
	Whole bool `json:"whole,omitempty"`

	files files
}

// StageRecord is what a stage was made of.
type StageRecord struct {
	// Base is the id of the base image, if that is not a stage.
	Base  string       `json:"base,omitempty"`
	Steps []StepRecord `json:"steps"`
}

// StepRecord is a step and the id of its image, or no id if it has failed.
type StepRecord struct {
	Text string `json:"text"`
	ID   string `json:"id,omitempty"`
	// Images are the ids of images that it took files of.
	Images map[string]string `json:"images,omitempty"`
}

// Digest is how values are remembered that may be secret.
func Digest(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:16])
}

// Directory is where the records of a store are.
func Directory(graphRoot string) string { return filepath.Join(graphRoot, "pod", "builds") }

// load reads a record; nil if there is none, or none that can be read: then it
// is a first build.
func load(path string) *Record {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // read only
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxSize {
		return nil
	}
	r := bufio.NewReaderSize(f, 1<<16)
	head, err := r.ReadBytes('\n')
	if err != nil {
		return nil
	}
	record := &Record{}
	if json.Unmarshal(head, record) != nil || record.Version != version {
		return nil
	}
	if record.files, err = decode(r); err != nil || !record.Whole {
		record.files, record.Whole = nil, false
	}
	return record
}

// save writes a record in one piece, and removes the oldest if there are many.
// Nothing is written if it says the same as before.
func (r *Record) save(dir, name string) error {
	r.Version = version
	var b bytes.Buffer
	head, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the record of the build: %w", err)
	}
	b.Write(head)
	b.WriteByte('\n')
	if r.Whole {
		r.files.encode(&b)
	}
	path := filepath.Join(dir, name)
	if had, err := os.ReadFile(path); err == nil && bytes.Equal(had, b.Bytes()) {
		now := time.Now()
		return os.Chtimes(path, now, now) //nolint:wrapcheck // it names the file
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write the record of the build: %w", err)
	}
	if err := wholefile.Write(path, ".new-", b.Bytes()); err != nil {
		return fmt.Errorf("write the record of the build: %w", err)
	}
	_, err = prune(dir, maxRecords, 0)
	return err
}

// Prune removes records that no build has used for the time, and what a killed
// build left.
func Prune(graphRoot string, unused time.Duration) (freed int64, err error) {
	return prune(Directory(graphRoot), 0, unused)
}

// prune keeps the newest (0: any number) of those younger than age (0: any).
func prune(dir string, keep int, age time.Duration) (freed int64, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("list records of builds: %w", err)
	}
	var records []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			records = append(records, info)
		}
	}
	slices.SortFunc(records, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	const writing = time.Hour // no build writes a record for so long
	for i, info := range records {
		old := time.Since(info.ModTime())
		temporary := strings.HasPrefix(info.Name(), ".")
		if temporary && old < writing || !temporary && (keep == 0 || i < keep) && (age == 0 || old < age) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, fmt.Errorf("remove record of a build: %w", err)
		}
		freed += info.Size()
	}
	return freed, nil
}
