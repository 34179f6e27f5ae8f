package storage

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	cstorage "go.podman.io/storage"
)

var (
	// ErrNoSpace means that the disk of the store, or its inodes, are used up.
	ErrNoSpace = errors.New("no space left on device")
	// ErrNoContainer means that the store has no such container.
	ErrNoContainer = errors.New("no such container in storage")
	// ErrNoImage means that the store has no such image.
	ErrNoImage = errors.New("no such image")
	// ErrNameInUse means that another container of the store, perhaps another
	// tool's, has the name.
	ErrNameInUse = errors.New("the container name is in use")
)

// SpaceHint is what to do about a full disk.
const SpaceHint = "see `pod system df --why`, and free some with `pod system prune`"

// noSpace marks an error that says only in words that the disk is full, as the
// library's child processes do.
func noSpace(err error) error {
	if err == nil || errors.Is(err, ErrNoSpace) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		strings.Contains(err.Error(), ErrNoSpace.Error()) {
		return &fullError{err}
	}
	return err
}

// NoSpace says whether err was caused by a full disk, however it is wrapped.
func NoSpace(err error) bool { return errors.Is(noSpace(err), ErrNoSpace) }

// fullError is ErrNoSpace with the words of its cause.
type fullError struct{ cause error }

func (e *fullError) Error() string        { return e.cause.Error() }
func (e *fullError) Unwrap() error        { return e.cause }
func (e *fullError) Is(target error) bool { return target == ErrNoSpace }

// translate gives the library's errors pod's names.
func translate(what, id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cstorage.ErrContainerUnknown), errors.Is(err, cstorage.ErrNotAContainer):
		return fmt.Errorf("%s %s: %w", what, id, ErrNoContainer)
	case errors.Is(err, cstorage.ErrImageUnknown):
		return fmt.Errorf("%s %s: %w", what, id, ErrNoImage)
	default:
		return fmt.Errorf("%s %s: %w", what, id, noSpace(err))
	}
}
