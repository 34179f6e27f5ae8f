// Package jsonlist changes one record of a list that is a file of JSON, an array of
// objects that begin with their id, without decoding the others. What is not as the
// library of the field writes it is left to the library: nothing here guesses. The
// library's records hold no lists of objects with ids, which would be taken for records.
package jsonlist

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
)

// ErrUnusual is a list, or a record of it, that is not as containers/storage writes it.
var ErrUnusual = errors.New("not written by containers/storage")

// longest is what bytes.Index searches for with vector instructions.
const longest = 63

// List is the content of such a file.
type List []byte

// Check says whether the list may be changed here: ErrUnusual if not.
func (l List) Check() error {
	if len(l) == 0 || string(l) == "[]" || bytes.HasPrefix(l, []byte(`[{"id":"`)) && bytes.HasSuffix(l, []byte("}]")) {
		return nil
	}
	return ErrUnusual
}

// Mentions reports whether text stands in the list as a whole string of JSON, be it a
// key or a value. text is one that JSON writes as it is.
func (l List) Mentions(text string) bool {
	return index(l, []byte(`"`+text+`"`)) >= 0
}

// MentionsField is Mentions for a field with a value.
func (l List) MentionsField(name, value string) bool {
	return index(l, []byte(`"`+name+`":"`+value+`"`)) >= 0
}

// index is bytes.Index for long texts in lists of many that begin in the same way.
func index(l List, text []byte) int {
	start := text[:min(len(text), longest)]
	for at := 0; ; at++ {
		next := bytes.Index(l[at:], start)
		if next < 0 {
			return -1
		}
		if at += next; bytes.HasPrefix(l[at:], text) {
			return at
		}
	}
}

// AsIs says whether JSON writes a text as it is.
func AsIs(text string) bool {
	raw, err := json.Marshal(text)
	return err == nil && string(raw) == `"`+text+`"`
}

// Records are all records, one after the other. The error, which is the last, is
// ErrUnusual.
func (l List) Records() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if len(l) <= len("[]") {
			return
		}
		for at := 1; ; at++ {
			to := end(l, at)
			if to < 0 || to >= len(l) || l[at] != '{' || l[to] != ',' && (l[to] != ']' || to != len(l)-1) {
				yield(nil, ErrUnusual)
				return
			}
			if !yield(l[at:to:to], nil) || l[to] == ']' {
				return
			}
			at = to
		}
	}
}

// Find returns where the record with the id begins and ends; from is -1 if there is
// none.
func (l List) Find(id string) (from, to int, err error) {
	// In a string of JSON the quotes would have backslashes before them, so this is
	// the beginning of an object.
	from = index(l, []byte(`{"id":"`+id+`"`))
	switch {
	case from < 0:
		return -1, -1, nil
	case from == 0, l[from-1] == '[' && from != 1, l[from-1] != '[' && (l[from-1] != ',' || l[from-2] != '}'):
		return -1, -1, ErrUnusual // an object inside another
	}
	if to = end(l, from); to < 0 || to >= len(l) || l[to] != ',' && (l[to] != ']' || to != len(l)-1) {
		return -1, -1, ErrUnusual
	}
	return from, to, nil
}

// end is the index after the object that begins at from; -1 if it has none.
func end(l List, from int) int {
	depth, quoted := 0, false
	for i := from; i < len(l); i++ {
		switch c := l[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// With returns the list with one more record at its end. The list is not valid after it.
func (l List) With(record []byte) List {
	if len(l) <= len("[]") {
		return append(append(List("["), record...), ']')
	}
	return append(append(append(l[:len(l)-1], ','), record...), ']')
}

// Without returns the list without what is from the one index to the other, as Find
// returns them. The list is not valid after it.
func (l List) Without(from, to int) List {
	switch {
	case l[to] == ',':
		to++
	case l[from-1] == ',':
		from--
	}
	return append(l[:from], l[to:]...)
}
