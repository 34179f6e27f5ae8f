package unitfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// space is what systemd trims from lines, keys and values.
const space = " \t\n\r"

// Error is one line that is wrong.
type Error struct {
	Pos Pos
	Msg string
}

func (e Error) Error() string { return e.Pos.String() + ": " + e.Msg }

// Errors are all that is wrong with a file's syntax, by line.
type Errors []Error

func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i := range e {
		texts[i] = e[i].Error()
	}
	return strings.Join(texts, "\n")
}

// parser holds what a line means to the next.
type parser struct {
	file    *File
	errs    Errors
	raw     strings.Builder // of the logical line
	text    string          // of the logical line so far
	going   bool            // the line before ended with a backslash
	started Pos
	pos     Pos
}

// Parse reads a file. An error is of type Errors: systemd would warn of such a line
// and ignore it, which its author hardly means.
func Parse(name string, data []byte) (*File, error) {
	p := &parser{file: New(name), pos: Pos{File: name, Line: 0}}
	switch {
	case len(data) > MaxFile:
		return nil, Errors{{Pos{name, 1}, fmt.Sprintf("the file is larger than %d bytes", MaxFile)}}
	case bytes.IndexByte(data, 0) >= 0:
		line := 1 + bytes.Count(data[:bytes.IndexByte(data, 0)], []byte("\n"))
		return nil, Errors{{Pos{name, line}, "a zero byte: this is not a text file"}}
	}
	rest := string(data)
	for rest != "" {
		var raw string
		raw, rest = cutLine(rest)
		p.pos.Line++
		p.physical(raw)
	}
	if p.going {
		// Its last backslash would take a line that is added into it.
		p.logical("")
	}
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	return p.file, nil
}

// cutLine returns the first line with its end, which is \n, \r or both.
func cutLine(s string) (first, rest string) {
	i := strings.IndexAny(s, "\r\n")
	if i < 0 {
		return s, ""
	}
	i++
	if i < len(s) && s[i] != s[i-1] && (s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return s[:i], s[i:]
}

// physical takes one line of the file.
func (p *parser) physical(raw string) {
	text := strings.TrimRight(raw, "\r\n")
	if p.pos.Line == 1 {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	if !p.going {
		p.raw.Reset()
		p.text, p.started = "", p.pos
	}
	p.raw.WriteString(raw)
	if start := strings.TrimLeft(text, space); start != "" && (start[0] == '#' || start[0] == ';') {
		if !p.going { // a comment between lines that belong together is part of them
			p.add(line{raw: raw})
		}
		return
	}
	p.text += text
	if p.going = continues(p.text); p.going {
		p.text = p.text[:len(p.text)-1] + " "
		if len(p.text) > maxLine {
			p.fail("the line is too long")
		}
		return
	}
	p.logical(p.raw.String())
}

// continues says whether a line goes on: it ends with a backslash that no other one
// escapes.
func continues(s string) bool {
	n := len(s) - len(strings.TrimRight(s, `\`))
	return n%2 == 1
}

// logical takes a whole line, whose text p has.
func (p *parser) logical(raw string) {
	p.going = false
	text := strings.Trim(p.text, space)
	switch {
	case text == "":
		if raw == "" {
			raw = "\n"
		}
		p.add(line{raw: raw})
	case !utf8.ValidString(text):
		p.fail("the line is not UTF-8")
	case text[0] == '[':
		p.header(raw, text)
	default:
		key, value, found := strings.Cut(text, "=")
		key = strings.Trim(key, space)
		switch {
		case !found:
			p.fail(fmt.Sprintf("%s: a section, KEY=VALUE or a comment is expected (missing '=')", quoted(text)))
		case key == "":
			p.fail("nothing stands before '='")
		case len(p.file.sections) == 1:
			p.fail(fmt.Sprintf("%s stands before the first section", quoted(key)))
		default:
			p.add(line{raw: raw, value: Value{Key: key, Text: strings.Trim(value, space), Pos: p.started}})
		}
	}
}

func (p *parser) header(raw, text string) {
	name := strings.TrimPrefix(strings.TrimSuffix(text, "]"), "[")
	switch {
	case !strings.HasSuffix(text, "]"):
		p.fail(fmt.Sprintf("%s: a section ends with ']'", quoted(text)))
	case name == "":
		p.fail("the section has no name")
	case strings.ContainsAny(name, "\"'\\\x7f") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		p.fail(fmt.Sprintf("%s: a section's name has no quotes, backslashes or control characters", quoted(text)))
	default:
		p.file.sections = append(p.file.sections, section{name: name, raw: raw, pos: p.started})
	}
}

func (p *parser) add(l line) {
	s := &p.file.sections[len(p.file.sections)-1]
	s.lines = append(s.lines, l)
}

// fail notes what is wrong with the line; the first hundred do.
func (p *parser) fail(msg string) {
	if len(p.errs) < 100 {
		p.errs = append(p.errs, Error{Pos: p.started, Msg: msg})
	}
}

// quoted shows text of a file in a message, short and on one line.
func quoted(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		text = string(runes[:60]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
