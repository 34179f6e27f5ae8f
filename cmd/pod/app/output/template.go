package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode"
)

// Template is a parsed --format that is executed once per value.
type Template struct {
	source string
	tmpl   *template.Template
	// ranges: the format has its own {{range .}} and wants the whole list.
	ranges bool
	// newline is added after each value unless the format ends with one.
	newline bool
}

// Parse reads a Go template as users give it: \t and \n outside of actions are
// the characters, and each value ends with a newline.
func Parse(format string) (*Template, error) {
	text := unescape(format)
	tmpl, err := template.New("format").Funcs(functions()).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("--format %q: %s", format, plain(err))
	}
	t := &Template{source: format, tmpl: tmpl, newline: !strings.HasSuffix(text, "\n")}
	for _, n := range tmpl.Root.Nodes {
		if r, ok := n.(*parse.RangeNode); ok && r.Pipe.String() == "." {
			t.ranges = true
		}
	}
	return t, nil
}

// Execute prints v and a newline. Nothing is printed when it fails.
func (t *Template) Execute(w io.Writer, v any) error {
	var out bytes.Buffer
	if err := t.render(&out, v); err != nil {
		return err
	}
	if t.newline {
		out.WriteByte('\n')
	}
	_, err := w.Write(out.Bytes())
	return err
}

// render executes the template. A field that is only spelt differently, in
// case or as its JSON key (.Id for .ID, .host for .Host), is found too: scripts
// written for either of docker and podman use both.
func (t *Template) render(out *bytes.Buffer, v any) error {
	start := out.Len()
	for range 16 {
		err := t.tmpl.Execute(out, v)
		if err == nil {
			return nil
		}
		out.Truncate(start)
		m := regexp.MustCompile(`can't evaluate field (\w+) in type`).FindStringSubmatch(err.Error())
		if m == nil {
			return fmt.Errorf("--format %q: %s", t.source, plain(err))
		}
		names := map[string]string{}
		collectNames(reflect.TypeOf(v), names, map[reflect.Type]bool{})
		name, ok := names[strings.ToLower(m[1])]
		if !ok || name == m[1] {
			return fmt.Errorf("--format %q: no field %s, there are: %s", t.source, m[1], fieldList(v))
		}
		rename(t.tmpl.Root, m[1], name)
	}
	return fmt.Errorf("--format %q: too many unknown fields", t.source)
}

// check finds unknown fields when there is no row to execute with.
func (t *Template) check(zero any) error {
	if zero == nil {
		return nil
	}
	var out bytes.Buffer
	err := t.render(&out, zero)
	if err != nil && strings.Contains(err.Error(), ": no field ") {
		return err
	}
	return nil // what a zero value cannot do says nothing about real ones
}

// heading derives the heading line from the fields in each column.
func (t *Template) heading(overrides map[string]string) string {
	var b strings.Builder
	for _, n := range t.tmpl.Root.Nodes {
		if text, ok := n.(*parse.TextNode); ok {
			b.WriteString(strings.ReplaceAll(string(text.Text), "\n", ""))
			continue
		}
		name := firstField(n)
		if h, ok := overrides[name]; ok {
			b.WriteString(strings.ToUpper(h))
		} else {
			b.WriteString(Heading(name))
		}
	}
	return b.String()
}

// Heading makes a heading of a field's name: ImageID becomes IMAGE ID.
func Heading(field string) string {
	var b strings.Builder
	runes := []rune(field)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) {
			prevLower := !unicode.IsUpper(runes[i-1])
			nextLower := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if prevLower || (nextLower && unicode.IsUpper(runes[i-1]) && !pluralAcronym(runes, i)) {
				b.WriteByte(' ')
			}
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// pluralAcronym: the s in PIDs does not begin a word.
func pluralAcronym(runes []rune, i int) bool {
	return i+2 == len(runes) && runes[i+1] == 's'
}

// firstField returns the last name of the first field chain below n.
func firstField(n parse.Node) string {
	name := ""
	walk(n, func(n parse.Node) {
		if f, ok := n.(*parse.FieldNode); ok && name == "" {
			name = f.Ident[len(f.Ident)-1]
		}
	})
	return name
}

func rename(n parse.Node, from, to string) {
	walk(n, func(n parse.Node) {
		var idents []string
		switch n := n.(type) {
		case *parse.FieldNode:
			idents = n.Ident
		case *parse.VariableNode:
			idents = n.Ident[1:]
		case *parse.ChainNode:
			idents = n.Field
		}
		for i := range idents {
			if idents[i] == from {
				idents[i] = to
			}
		}
	})
}

// walk calls visit for n and everything below it.
func walk(n parse.Node, visit func(parse.Node)) {
	if n == nil || reflect.ValueOf(n).IsNil() {
		return
	}
	visit(n)
	branch := func(b *parse.BranchNode) {
		walk(b.Pipe, visit)
		walk(b.List, visit)
		walk(b.ElseList, visit)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, c := range n.Nodes {
			walk(c, visit)
		}
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			walk(c, visit)
		}
	case *parse.CommandNode:
		for _, c := range n.Args {
			walk(c, visit)
		}
	case *parse.ChainNode:
		walk(n.Node, visit)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	}
}

// collectNames maps lower-case spellings, JSON keys too, to fields and methods
// that a template can reach from t.
func collectNames(t reflect.Type, names map[string]string, seen map[reflect.Type]bool) {
	if t == nil || seen[t] {
		return
	}
	seen[t] = true
	for m := range t.Methods() {
		names[strings.ToLower(m.Name)] = m.Name
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		collectNames(t.Elem(), names, seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if !f.IsExported() {
				continue
			}
			collectNames(f.Type, names, seen)
			if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "" && key != "-" {
				names[strings.ToLower(key)] = f.Name
			}
			names[strings.ToLower(f.Name)] = f.Name
		}
	}
}

// fieldList names what a template can use of v.
func fieldList(v any) string {
	t := reflect.TypeOf(v)
	var names []string
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	if t != nil && t.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(t) {
			if f.IsExported() && !f.Anonymous {
				names = append(names, f.Name)
			}
		}
		for m := range t.Methods() {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// plain takes the inner workings of text/template out of its errors.
func plain(err error) string {
	var inner template.ExecError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	position := regexp.MustCompile(`^template: format:\d+(:\d+)?: (executing "format" at )?`)
	return strings.ReplaceAll(position.ReplaceAllString(err.Error(), ""), "\n", " ")
}

// functions are those that docker and podman offer beside Go's own.
func functions() template.FuncMap {
	return template.FuncMap{
		"json": func(v any) (string, error) {
			var out bytes.Buffer
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			err := enc.Encode(v)
			return strings.TrimSpace(out.String()), err
		},
		"join":  strings.Join,
		"split": strings.Split,
		"lower": strings.ToLower,
		"upper": strings.ToUpper,
		"title": title,
		"pad": func(s string, before, after int) string {
			if s == "" {
				return s
			}
			return strings.Repeat(" ", max(before, 0)) + s + strings.Repeat(" ", max(after, 0))
		},
		"truncate": func(s string, length int) string {
			runes := []rune(s)
			if length < 0 || len(runes) <= length {
				return s
			}
			return string(runes[:length])
		},
	}
}

// title raises the first letter of each word.
func title(s string) string {
	prev := ' '
	return strings.Map(func(r rune) rune {
		start := !unicode.IsLetter(prev) && !unicode.IsDigit(prev) && prev != '_' && prev != '\''
		prev = r
		if start {
			return unicode.ToTitle(r)
		}
		return r
	}, s)
}

// unescape turns \t and \n into the characters, but not inside of actions,
// where Go's template language reads its own strings.
func unescape(s string) string {
	return outsideActions(s, strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace)
}

// spaceToTab lets "table {{.A}} {{.B}}" have two columns.
func spaceToTab(s string) string {
	return outsideActions(s, func(text string) string { return strings.ReplaceAll(text, " ", "\t") })
}

// outsideActions applies f to the text between {{actions}}.
func outsideActions(s string, f func(string) string) string {
	var b strings.Builder
	for {
		open := strings.Index(s, "{{")
		if open < 0 {
			b.WriteString(f(s))
			return b.String()
		}
		b.WriteString(f(s[:open]))
		end := open + actionLength(s[open:])
		b.WriteString(s[open:end])
		s = s[end:]
	}
}

// actionLength is the length of the action that s begins with. Braces in
// strings do not end it.
func actionLength(s string) int {
	var quote byte
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case quote == 0 && strings.HasPrefix(s[i:], "}}"):
			return i + 2
		case quote == 0 && (c == '"' || c == '`' || c == '\''):
			quote = c
		case quote != 0 && quote != '`' && c == '\\':
			i++
		case c == quote:
			quote = 0
		}
	}
	return len(s)
}
