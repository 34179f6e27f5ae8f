package state

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// ErrNoSpace is what every operation returns when the disk or a quota is full.
// FreeReserve makes room enough for the transactions of a removal.
var ErrNoSpace = errors.New("no space left on device")

// ErrNoContainer says that no container has this name, ID or ID prefix.
type ErrNoContainer struct{ Name string }

// Error implements error.
func (e ErrNoContainer) Error() string {
	return fmt.Sprintf("no container with name or ID %q found: no such container", e.Name)
}

// ErrAmbiguous says that an ID prefix fits several objects.
type ErrAmbiguous struct {
	// Kind is the noun: container, exec session, volume.
	Kind   string
	Prefix string
	// Matches are full IDs (or volume names); More says that there are others.
	Matches []string
	More    bool
}

// Error implements error.
func (e ErrAmbiguous) Error() string {
	what, short := e.Kind+" ID prefix", make([]string, 0, len(e.Matches)+1)
	if e.Kind == kindVolume {
		what = "volume name prefix"
	}
	for _, m := range e.Matches {
		if e.Kind != kindVolume {
			m = shortIDBeyond(m, len(e.Prefix))
		}
		short = append(short, m)
	}
	if e.More {
		short = append(short, "…")
	}
	return fmt.Sprintf("%s %q is ambiguous: it matches %s", what, e.Prefix, strings.Join(short, ", "))
}

// shortIDBeyond cuts an ID to 12 digits, or to what tells it from its
// neighbours when the user has typed more than that.
func shortIDBeyond(id string, typed int) string {
	return id[:min(len(id), max(12, typed+4))]
}

// ErrNameInUse says that another container has the name.
type ErrNameInUse struct{ Name, ID string }

// Error implements error.
func (e ErrNameInUse) Error() string {
	return fmt.Sprintf("name %q is in use: the container name %q is already in use by %s; remove it, or use --replace or another name",
		e.Name, e.Name, e.ID)
}

// ErrNoPod says that no pod has this name, ID or ID prefix.
type ErrNoPod struct{ Name string }

// Error implements error.
func (e ErrNoPod) Error() string {
	return fmt.Sprintf("no pod with name or ID %s found: no such pod", e.Name)
}

// ErrPodInUse says that another pod has the name.
type ErrPodInUse struct{ Name, ID string }

// Error implements error.
func (e ErrPodInUse) Error() string {
	return fmt.Sprintf("name %q is in use: pod already exists: remove it (%s), or use --replace or another name", e.Name, shortIDBeyond(e.ID, 0))
}

// ErrIDInUse says that a record with this ID exists.
type ErrIDInUse struct{ ID string }

// Error implements error.
func (e ErrIDInUse) Error() string {
	return fmt.Sprintf("container ID %s is in use", e.ID)
}

// ErrNoExec says that there is no such exec session.
type ErrNoExec struct{ ID string }

// Error implements error.
func (e ErrNoExec) Error() string {
	return fmt.Sprintf("no exec session with ID %q found: no such exec session", e.ID)
}

// ErrNoVolume says that there is no such volume.
type ErrNoVolume struct{ Name string }

// Error implements error.
func (e ErrNoVolume) Error() string {
	return fmt.Sprintf("no volume with name %q found: no such volume", e.Name)
}

// ErrVolumeInUse says that the volume exists already.
type ErrVolumeInUse struct{ Name string }

// Error implements error.
func (e ErrVolumeInUse) Error() string {
	return fmt.Sprintf("volume with name %s already exists: volume already exists", e.Name)
}

// ErrCorrupt says that a state file cannot be read.
type ErrCorrupt struct {
	Path string
	// Volatile: it is the file in the run directory.
	Volatile bool
	Err      error
}

// Error implements error.
func (e ErrCorrupt) Error() string {
	lost := "the records of containers and volumes are lost"
	if e.Volatile {
		lost = "what is known of running and --rm containers is lost"
	}
	return fmt.Sprintf("state file %s is damaged (%v): move it aside and try again: images stay, %s", e.Path, e.Err, lost)
}

// Unwrap returns what SQLite said.
func (e ErrCorrupt) Unwrap() error { return e.Err }

// ErrElsewhere says that containers of this graph root run from another run
// directory, which alone knows of them.
type ErrElsewhere struct {
	GraphRoot string
	// RunDir is the other one, Own the one of this Store.
	RunDir, Own string
	// Running is the number of containers there.
	Running int
}

// Error implements error.
func (e ErrElsewhere) Error() string {
	return fmt.Sprintf("%d container(s) of the store %s run from the run directory %s, and this command would use %s: "+
		"set XDG_RUNTIME_DIR and --runroot as they were there, stop these containers there, or use another --root",
		e.Running, e.GraphRoot, e.RunDir, e.Own)
}

// ErrNewer says that a state file was written by a newer pod.
type ErrNewer struct {
	Path        string
	Have, Known int
}

// Error implements error.
func (e ErrNewer) Error() string {
	return fmt.Sprintf("state file %s was written by a newer pod (schema %d, this one knows %d): use that version of pod, or another --root",
		e.Path, e.Have, e.Known)
}

// isFull reports whether err means that the disk or a quota is full.
func isFull(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	var se sqlite3.Error
	if !errors.As(err, &se) {
		return false
	}
	// Growing the shared memory file has its own code and no errno.
	return se.Code == sqlite3.ErrFull || se.SystemErrno == syscall.ENOSPC || se.SystemErrno == syscall.EDQUOT ||
		se.ExtendedCode == sqlite3.ErrIoErrSHMSize
}

// isDamaged reports whether err means that a file is not a sound database.
func isDamaged(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && (se.Code == sqlite3.ErrNotADB || se.Code == sqlite3.ErrCorrupt)
}

// isDuplicate reports whether err is a violated PRIMARY KEY or UNIQUE.
func isDuplicate(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrConstraint
}
