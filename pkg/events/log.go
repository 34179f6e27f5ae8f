package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/rootless-pod/pod/internal/journal"
)

// Log is where events are kept.
type Log interface {
	// Name of the backend in use: journald, file or none.
	Name() string
	// Write records e, at now if e has no time. It is cheap, and an error is
	// only worth a warning: what e tells has happened all the same.
	Write(e Event) error
	// Read returns the events that f selects, oldest first. The sequence ends
	// after an error, and without one when ctx ends.
	Read(ctx context.Context, f Filter) iter.Seq2[Event, error]
}

// Options say whose events a Log has.
type Options struct {
	// GraphRoot is the store the events are about.
	GraphRoot string
	// HostUID is the user's id outside of all user namespaces.
	HostUID int
	// Path of the file backend; empty is pod/events.log in the graph root.
	Path string
	// MaxSize bounds the file backend's file; 0 is 1 MB. One older file of the
	// same size is kept beside it.
	MaxSize int64
}

// ErrNone is the answer to reading events that nobody keeps.
var ErrNone = errors.New("cannot read events with the \"none\" backend: use --events-backend journald or file when the containers run")

// Open returns the log of the backend: journald, file, none, or "" for the best
// there is. Where the journal cannot be used, journald is file.
func Open(backend string, o Options) (Log, error) {
	if o.Path == "" {
		o.Path = filepath.Join(o.GraphRoot, "pod", "events.log")
	}
	if o.MaxSize <= 0 {
		o.MaxSize = 1_000_000
	}
	switch backend {
	case "", "journald":
		if journal.Usable("/", o.HostUID) {
			return &journalLog{socket: journal.Socket, uid: o.HostUID, store: storeName(o.GraphRoot), read: journal.Read}, nil
		}
		return &fileLog{path: o.Path, maxSize: o.MaxSize, store: storeName(o.GraphRoot)}, nil
	case "file":
		return &fileLog{path: o.Path, maxSize: o.MaxSize, store: storeName(o.GraphRoot)}, nil
	case "none", "null":
		return noLog{}, nil
	}
	return nil, fmt.Errorf("events backend %q is not supported: use journald, file or none", backend)
}

// storeName is short and says nothing about the path to other readers of the
// journal.
func storeName(graphRoot string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(graphRoot)))
	return hex.EncodeToString(sum[:8])
}

// stamp completes an event that is written now.
func (e *Event) stamp(store string) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.Round(0)
	e.Store = store
}

type noLog struct{}

func (noLog) Name() string { return "none" }

func (noLog) Write(Event) error { return nil }

func (noLog) Read(context.Context, Filter) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) { yield(Event{}, ErrNone) }
}
