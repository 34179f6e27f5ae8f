package basic

import "errors"

var (
	// ErrNoImage means that no local image answers to a name.
	ErrNoImage = errors.New("image not known")
	// ErrInUse means that containers, or images built on it, need an image.
	ErrInUse = errors.New("image is in use by a container")
)

// Kind is what went wrong.
type Kind int

// The kinds that somebody asks for.
const (
	Other Kind = iota
	Unknown
	InUse
	Auth
)

// Error says in one line which image, what reason and what remedy.
type Error struct {
	// Name is the image or registry, as the user gave it.
	Name string
	// Reason is what happened.
	Reason string
	// Hint is what to do about it; it may be empty.
	Hint string
	// Err is the cause.
	Err error

	Kind Kind
}

// NoImage says that no local image answers to name.
func NoImage(name string) *Error {
	return &Error{Name: name, Reason: "image not known (no such image)", Kind: Unknown}
}

func (e *Error) Error() string {
	text := e.Name + ": " + e.Reason
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Is lets the sentinels be found.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNoImage:
		return e.Kind == Unknown
	case ErrInUse:
		return e.Kind == InUse
	}
	return false
}
