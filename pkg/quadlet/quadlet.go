// Package quadlet turns Quadlet files (.container, .pod, .network, .volume, .image,
// .build, .artifact) into services for systemd, as its generators do: it finds the
// files and their drop-ins (Load), converts them (Set.Convert), and writes services
// and the links that enable them (Write). It starts nothing and asks no store; it runs
// before there is a session. The syntax of the files is package unitfile's.
package quadlet

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// Host is what a conversion must know of where it runs.
type Host struct {
	User    bool   // units of a user, not of the system
	UID     int    // whose
	Root    string // put before the paths of the machine, in tests
	Getenv  func(string) string
	Program string // what the services call, an absolute path
}

// Problem is what is wrong with a file, or might be.
type Problem struct {
	Pos     unitfile.Pos
	Msg     string
	Warning bool // the file's service is made all the same
}

// String is FILE:LINE: MESSAGE.
func (p Problem) String() string {
	if p.Warning {
		return p.Pos.String() + ": Warning: " + p.Msg
	}
	return p.Pos.String() + ": " + p.Msg
}

// Unit is a Quadlet file with its drop-ins.
type Unit struct {
	Name    string // of the file: web.container
	Path    string
	DropIns []string       // their paths, in the order in which they count
	File    *unitfile.File // what all of them say; nil for one that could not be read
	Service string         // what it becomes: web.service

	kind     *kind
	resource string // the name of what the service makes, for other units; may be empty
	starts   []string
}

// Ext is the kind of file: .container.
func (u *Unit) Ext() string { return u.kind.ext }

// Section is the section of the kind: Container.
func (u *Unit) Section() string { return u.kind.section }

// Resource is the name of the container, pod, network, volume or image that the
// service makes. It is empty if only systemd knows it.
func (u *Unit) Resource() string { return u.resource }

// Set is all units of a search, by name once.
type Set struct {
	Units []*Unit
	host  Host
}

// Lookup finds a unit by the name of its file.
func (s *Set) Lookup(name string) *Unit {
	for _, u := range s.Units {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// Service is what systemd is given for a unit.
type Service struct {
	Name  string // web.service
	Text  string
	Links []Link
}

// Link enables a service: a link of this name beside it, which leads to Target.
type Link struct{ Name, Target string }

// Result is what became of one unit: a service unless a problem is no mere warning.
type Result struct {
	Unit     *Unit
	Service  *Service
	Problems []Problem
}

// Convert makes the services of all units. One that is wrong has none; the others'
// come. The order is that of the kinds: those that others need first.
func (s *Set) Convert() []Result {
	units := slices.Clone(s.Units)
	slices.SortStableFunc(units, func(a, b *Unit) int { return a.kind.order - b.kind.order })
	var results []Result
	taken := map[string]*Unit{}
	for _, u := range units {
		if u.File == nil {
			continue // Load has said why
		}
		c := &conversion{set: s, unit: u, out: u.File.Clone()}
		if other := taken[u.Service]; other != nil {
			c.fail(c.header(), "%s is the service of %s already: give one of them another ServiceName", u.Service, other.Path)
		}
		service := c.convert()
		if service != nil {
			taken[u.Service] = u
			if c.pod != nil {
				c.pod.starts = append(c.pod.starts, u.Service)
			}
		}
		results = append(results, Result{Unit: u, Service: service, Problems: c.problems})
	}
	return results
}

// stem is a file's name without its extension.
func stem(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }

// template splits name@instance. A template has an empty instance.
func template(name string) (prefix, instance string, ok bool) { return strings.Cut(stem(name), "@") }

// isTemplate says whether the unit is a pattern that others are instances of.
func (u *Unit) isTemplate() bool {
	_, instance, ok := template(u.Service)
	return ok && instance == ""
}

// name works out Service and what other units call what it makes.
func (u *Unit) name() {
	service := stem(u.Name) + u.kind.suffix
	if v, ok := u.File.Get(u.kind.section, "ServiceName"); ok && v.Text != "" {
		service = strings.TrimSuffix(unitfile.Unwrap(v.Text), ".service")
	}
	u.Service = service + ".service"
	name := u.kind.resource(u)
	if expanded, ok := expand(name, u.Service); ok {
		u.resource = expanded
	}
}

// nameOr is the key's value, or else the default name of what the unit makes.
func (u *Unit) nameOr(key string) string {
	if v, ok := u.File.Get(u.kind.section, key); ok && v.Text != "" {
		return unitfile.Unwrap(v.Text)
	}
	return "systemd-" + stem(u.Name)
}

// expand replaces the specifiers that mean a unit's own name; those that mean the same
// in every unit of a manager stay. It fails for what only an instance would tell.
func expand(text, service string) (string, bool) {
	prefix, instance, isInstance := template(service)
	if !isInstance {
		prefix = stem(service)
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		needs, value := false, ""
		switch text[i] {
		case 'n':
			needs, value = isInstance, service
		case 'N':
			needs, value = isInstance, stem(service)
		case 'p':
			value = prefix
		case 'P':
			value = unescapePath(prefix)
		case 'i':
			needs, value = isInstance, instance
		case 'I':
			needs, value = isInstance, unescapePath(instance)
		case 'j':
			value = prefix[strings.LastIndexByte(prefix, '-')+1:]
		default:
			b.WriteString(text[i-1 : i+1])
			continue
		}
		if needs && instance == "" {
			return "", false
		}
		b.WriteString(doubled(value))
	}
	return b.String(), true
}

// doubled keeps systemd from seeing specifiers in a name or path of the machine's.
func doubled(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// unescapePath undoes systemd-escape(1) as %I does.
func unescapePath(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		var code int
		switch {
		case text[i] == '-':
			b.WriteByte('/')
		case strings.HasPrefix(text[i:], `\x`) && len(text) >= i+4:
			if n, err := fmt.Sscanf(text[i+2:i+4], "%02x", &code); n == 1 && err == nil {
				b.WriteByte(byte(code))
				i += 3
				continue
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}
