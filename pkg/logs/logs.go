// Package logs reads what containers wrote: conmon's k8s-file and journald
// drivers, whole or from the end, once or following. It owns the formats of the
// drivers; who writes them, and when a container has ended, is libpod's matter.
package logs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rootless-pod/pod/internal/journal"
)

// Line is a line of output, or a piece of one: conmon cuts long lines.
type Line struct {
	Time   time.Time
	Stderr bool
	// Partial: no newline follows Data; the next Line of the stream goes on.
	Partial bool
	// Data is as the container wrote it, valid until emit returns.
	Data []byte
}

// Source says where a container's output is.
type Source struct {
	// Driver is k8s-file, json-file, journald, none or passthrough.
	Driver string
	// Path of the file drivers.
	Path string
	// ID of the container and HostUID of its user, for journald.
	ID      string
	HostUID int
}

// Options select lines.
type Options struct {
	// Tail is the number of last lines; negative means all.
	Tail int
	// Since and Until bound the time; zero is no bound.
	Since, Until time.Time
	// Follow goes on until Ended is closed and all was read, Until has come, or
	// the context ends. A nil Ended never ends.
	Follow bool
	// Ended is closed when nothing more will be written: after conmon wrote its
	// exit file, not when the container's process ends.
	Ended <-chan struct{}
	// Idle is called before a follower waits for more.
	Idle func() error
}

// ErrNoLog is the answer for drivers that keep nothing.
var ErrNoLog = errors.New("this container is not logging output")

// Read calls emit for each line of src, oldest first. An error of emit ends it.
func Read(ctx context.Context, src Source, o Options, emit func(Line) error) error {
	if o.Follow && !o.Until.IsZero() {
		if !o.Until.After(time.Now()) {
			o.Follow = false
		} else {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, o.Until)
			defer cancel()
		}
	}
	var err error
	switch src.Driver {
	case "k8s-file", "json-file", "":
		err = readFile(ctx, src.Path, o, emit)
	case "journald":
		if err = journal.Readable("/", src.HostUID); err == nil {
			r := journalReader{src: src, read: journal.Read, send: journal.Send}
			err = r.run(ctx, o, emit)
		}
	case "none", "passthrough", "passthrough-tty":
		return fmt.Errorf("this container is using the '%s' log driver, cannot read logs: %w", src.Driver, ErrNoLog)
	default:
		return fmt.Errorf("log driver %q is not supported: its logs cannot be read", src.Driver)
	}
	if err != nil {
		return fmt.Errorf("read logs: %w", err)
	}
	return nil
}

// errDone ends a reader at Until.
var errDone = errors.New("done") //nolint:gochecknoglobals // sentinel

// bounded hands on lines between Since and Until and ends after Until.
func (o *Options) bounded(emit func(Line) error) func(Line) error {
	return func(l Line) error {
		if !o.Until.IsZero() && l.Time.After(o.Until) {
			return errDone
		}
		if !o.Since.IsZero() && l.Time.Before(o.Since) {
			return nil
		}
		return emit(l)
	}
}

// ended tells whether o.Ended is closed.
func (o *Options) ended() bool {
	select {
	case <-o.Ended:
		return o.Ended != nil
	default:
		return false
	}
}
