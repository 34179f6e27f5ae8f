// Package flag binds command-line flags to what they describe: each flag fills
// one field of specgen.Container, or of the options beside it that say how the
// image is fetched and what is attached. Reading the host (files and variables
// the user named) is left to Finish, so that parsing alone touches nothing.
package flag

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// value is a flag that is read by a function.
type value struct {
	kind, text string
	read       func(string) error
}

// String is the default shown in help.
func (v *value) String() string { return v.text }

// Type is the kind of value shown in help.
func (v *value) Type() string { return v.kind }

// Set reads one value.
func (v *value) Set(s string) error { return v.read(s) }

// parsed adds a flag whose one value is read by read; help shows shown as the
// default.
func parsed(fs *pflag.FlagSet, name, shown, usage string, read func(string) error) {
	fs.Var(&value{kind: "string", text: shown, read: read}, name, usage)
}

// each adds a flag that may be given several times; read gets one word each.
func each(fs *pflag.FlagSet, name, short, usage string, read func(string) error) {
	fs.VarP(&value{kind: "stringArray", read: read}, name, short, usage)
}

// eachInList is each, for a flag whose value is a comma-separated list.
func eachInList(fs *pflag.FlagSet, name, short, usage string, read func(string) error) {
	fs.VarP(&value{kind: "stringSlice", read: func(s string) error {
		if s == "" {
			return nil
		}
		words, err := csv.NewReader(strings.NewReader(s)).Read()
		if err != nil {
			return fmt.Errorf("not a comma-separated list: %w", err)
		}
		for _, w := range words {
			if err := read(w); err != nil {
				return err
			}
		}
		return nil
	}}, name, short, usage)
}

// size reads a number of bytes.
func size(to *int64) func(string) error {
	return func(s string) (err error) {
		*to, err = specgen.ParseSize(s)
		return err
	}
}

// UnsupportedError says that a flag is known, but has no effect yet.
type UnsupportedError struct {
	// Flag is the flag with its dashes.
	Flag string
	// Why says why, and what to use instead; it may be empty.
	Why string
}

// Error is one line for the user.
func (e *UnsupportedError) Error() string {
	if e.Why != "" {
		return e.Flag + " is not supported yet: " + e.Why
	}
	return e.Flag + " is not supported yet"
}

// Unsupported registers flags, hidden, that end the command with an
// UnsupportedError when they are used.
func Unsupported(fs *pflag.FlagSet, names ...string) { UnsupportedSince(fs, "", names...) }

// UnsupportedSince is Unsupported with what to tell the user besides.
func UnsupportedSince(fs *pflag.FlagSet, why string, names ...string) {
	for _, name := range names {
		err := &UnsupportedError{Flag: "--" + name, Why: why}
		f := fs.VarPF(&value{kind: "string", read: func(string) error { return err }}, name, "", "Not supported yet")
		f.Hidden = true
		// With or without a value: the next word must not be asked for.
		f.NoOptDefVal = "true"
	}
}

// Cause takes from an error of flag parsing what says enough on its own: that
// something is not supported yet. It returns other errors unchanged.
func Cause(err error) error {
	var flag *UnsupportedError
	if errors.As(err, &flag) {
		return flag
	}
	var feature *specgen.UnsupportedError
	if errors.As(err, &feature) {
		return feature
	}
	return err
}
