// Package unitfile reads and writes systemd's unit files, as systemd.syntax(7) has
// them: sections, keys that repeat, empty assignments that reset a list, lines that
// go on, quoted words. What it does not change it writes as it was read: comments,
// order, lines that go on. What the keys mean is its callers' business.
package unitfile

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// Bounds of what is read. systemd takes lines of a megabyte too; a unit file of that
// size is a mistake.
const (
	MaxFile = 1 << 20
	maxLine = 1 << 20
)

// Pos is where something stands in a file.
type Pos struct {
	File string
	Line int
}

// String is FILE:LINE.
func (p Pos) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Value is one assignment.
type Value struct {
	Key  string
	Text string
	Pos  Pos
}

// line is one logical line: an assignment, or (without a key) a comment or nothing.
type line struct {
	raw   string // as read, with its end; empty for one that was made here
	value Value
}

// section is a header and what follows it. A name may come several times.
type section struct {
	name  string
	raw   string
	pos   Pos
	lines []line
}

// File is a unit file. The first of its sections has no name and no header; it
// holds what precedes them.
type File struct {
	name     string
	sections []section
}

// New is an empty file of that name.
func New(name string) *File { return &File{name: name, sections: []section{{}}} }

// Name is the file's name, as in its positions.
func (f *File) Name() string { return f.name }

// Has says whether there is such a section.
func (f *File) Has(name string) bool { return f.last(name) >= 0 }

// last is the index of the last section of that name, or -1.
func (f *File) last(name string) int {
	for i := len(f.sections) - 1; i >= 0; i-- {
		if f.sections[i].name == name && i > 0 {
			return i
		}
	}
	return -1
}

// Sections are the headers in their order, each name as often as it comes.
func (f *File) Sections() []Value {
	var names []Value
	for _, s := range f.sections[1:] {
		names = append(names, Value{Key: s.name, Pos: s.pos})
	}
	return names
}

// each goes through the assignments of a section, in their order.
func (f *File) each(name string) iter.Seq[*Value] {
	return func(yield func(*Value) bool) {
		for i := 1; i < len(f.sections); i++ {
			if f.sections[i].name != name {
				continue
			}
			lines := f.sections[i].lines
			for j := range lines {
				if lines[j].value.Key != "" && !yield(&lines[j].value) {
					return
				}
			}
		}
	}
}

// Assignments are all of a section, in their order, empty ones too.
func (f *File) Assignments(name string) []Value {
	var values []Value
	for v := range f.each(name) {
		values = append(values, *v)
	}
	return values
}

// Get is the last assignment of the key. Its text may be empty.
func (f *File) Get(name, key string) (Value, bool) {
	var last *Value
	for v := range f.each(name) {
		if v.Key == key {
			last = v
		}
	}
	if last == nil {
		return Value{}, false
	}
	return *last, true
}

// All are the assignments of the key since the last empty one.
func (f *File) All(name, key string) []Value {
	var values []Value
	for v := range f.each(name) {
		switch {
		case v.Key != key:
		case v.Text == "":
			values = nil
		default:
			values = append(values, *v)
		}
	}
	return values
}

// Add assigns once more, behind the other lines of the section.
func (f *File) Add(name, key, text string) {
	i := f.ensure(name)
	lines := f.sections[i].lines
	at := len(lines)
	for at > 0 && lines[at-1].value.Key == "" && strings.TrimSpace(lines[at-1].raw) == "" {
		at--
	}
	f.sections[i].lines = slices.Insert(lines, at, line{value: Value{Key: key, Text: text}})
}

// Prepend assigns before the other lines of the section.
func (f *File) Prepend(name, key, text string) {
	for i := 1; i < len(f.sections); i++ {
		if f.sections[i].name == name {
			f.sections[i].lines = slices.Insert(f.sections[i].lines, 0, line{value: Value{Key: key, Text: text}})
			return
		}
	}
	f.Add(name, key, text)
}

// Set makes this the key's only assignment.
func (f *File) Set(name, key, text string) {
	f.Unset(name, key)
	f.Add(name, key, text)
}

// Unset removes the assignments of the key.
func (f *File) Unset(name, key string) {
	for i := range f.sections {
		if i > 0 && f.sections[i].name == name {
			f.sections[i].lines = slices.DeleteFunc(f.sections[i].lines, func(l line) bool { return l.value.Key == key })
		}
	}
}

// Replace changes texts in their places: change is asked for each assignment of the
// section and says the new text, and whether it is one.
func (f *File) Replace(name string, change func(Value) (string, bool)) {
	for i := range f.sections {
		if i == 0 || f.sections[i].name != name {
			continue
		}
		for j := range f.sections[i].lines {
			l := &f.sections[i].lines[j]
			if l.value.Key == "" {
				continue
			}
			if text, changed := change(l.value); changed {
				l.value.Text, l.raw = text, ""
			}
		}
	}
}

// Rename gives sections another name.
func (f *File) Rename(from, to string) {
	for i := range f.sections {
		if i > 0 && f.sections[i].name == from {
			f.sections[i].name, f.sections[i].raw = to, ""
		}
	}
}

// Comment puts comment lines before everything else.
func (f *File) Comment(texts ...string) {
	var lines []line
	for _, text := range texts {
		lines = append(lines, line{raw: "# " + strings.NewReplacer("\n", " ", "\r", " ").Replace(text) + "\n"})
	}
	f.sections[0].lines = append(lines, f.sections[0].lines...)
}

// Merge adds the other file's assignments and comments, as systemd does with a
// drop-in: behind those of the same section. The positions stay.
func (f *File) Merge(other *File) {
	for i, s := range other.sections {
		at := 0
		if i > 0 {
			at = f.ensure(s.name)
		}
		f.sections[at].lines = append(f.sections[at].lines, s.lines...)
	}
}

// ensure is the index of the last section of that name, which is made if need be.
func (f *File) ensure(name string) int {
	i := f.last(name)
	if i >= 0 {
		return i
	}
	// A blank line before the header, unless there is one.
	if last := &f.sections[len(f.sections)-1]; len(last.lines) > 0 && strings.TrimSpace(last.lines[len(last.lines)-1].raw) != "" ||
		len(last.lines) > 0 && last.lines[len(last.lines)-1].value.Key != "" || len(last.lines) == 0 && len(f.sections) > 1 {
		last.lines = append(last.lines, line{raw: "\n"})
	}
	f.sections = append(f.sections, section{name: name})
	return len(f.sections) - 1
}

// Clone is a copy that can be changed.
func (f *File) Clone() *File {
	c := &File{name: f.name, sections: slices.Clone(f.sections)}
	for i := range c.sections {
		c.sections[i].lines = slices.Clone(c.sections[i].lines)
	}
	return c
}

// String is the file's text.
func (f *File) String() string {
	var b strings.Builder
	for i, s := range f.sections {
		if i > 0 {
			put(&b, s.raw, "["+s.name+"]")
		}
		for _, l := range s.lines {
			put(&b, l.raw, assignment(l.value))
		}
	}
	return b.String()
}

// WriteTo writes the file's text.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, f.String())
	return int64(n), err
}

// put writes a line as it was read, or else as it would be written.
func put(b *strings.Builder, raw, made string) {
	if raw == "" {
		raw = made
	}
	b.WriteString(raw)
	if !strings.HasSuffix(raw, "\n") && !strings.HasSuffix(raw, "\r") {
		b.WriteByte('\n')
	}
}

// assignment is the line of one that was made here. A backslash at its end would
// have it go on; the space behind it is not part of the value.
func assignment(v Value) string {
	s := v.Key + "=" + v.Text
	if continues(s) {
		s += " "
	}
	return s
}
