package quadlet

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rootless-pod/pod/internal/nearest"
	"github.com/rootless-pod/pod/pkg/unitfile"
)

// conversion is one unit on its way to a service.
type conversion struct {
	set      *Set
	unit     *Unit
	out      *unitfile.File
	cmd      *command // the one that the section's keys are for
	pod      *Unit    // that starts the service with its own
	problems []Problem
}

// convert makes the service, or none if something is wrong.
func (c *conversion) convert() *Service {
	c.checkName()
	c.checkKeys()
	c.checkService()
	c.dependencies()
	c.unit.kind.convert(c)
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line))
	})
	c.problems = slices.Compact(c.problems)
	if slices.ContainsFunc(c.problems, func(p Problem) bool { return !p.Warning }) {
		return nil
	}
	c.defaultDependencies()
	c.out.Rename(c.unit.kind.section, "X-"+c.unit.kind.section)
	c.out.Rename("Quadlet", "X-Quadlet")
	return &Service{Name: c.unit.Service, Text: c.out.String(), Links: c.links()}
}

func (c *conversion) fail(pos unitfile.Pos, format string, args ...any) {
	c.problems = append(c.problems, Problem{Pos: pos, Msg: fmt.Sprintf(format, args...)})
}

func (c *conversion) warn(pos unitfile.Pos, format string, args ...any) {
	c.problems = append(c.problems, Problem{Pos: pos, Msg: fmt.Sprintf(format, args...), Warning: true})
}

// header is where the unit's own section begins.
func (c *conversion) header() unitfile.Pos {
	for _, s := range c.unit.File.Sections() {
		if s.Key == c.unit.kind.section {
			return s.Pos
		}
	}
	return unitfile.Pos{File: c.unit.Path, Line: 1}
}

// checkName refuses what systemd takes for no name of a service, and a path that could
// not stand on a line.
func (c *conversion) checkName() {
	if strings.ContainsFunc(c.unit.Path, unicode.IsControl) {
		c.fail(unitfile.Pos{File: strconv.Quote(c.unit.Path), Line: 1}, "there are control characters in the path: rename the directory")
	}
	if isUnitName(c.unit.Service) {
		return
	}
	pos := unitfile.Pos{File: c.unit.Path, Line: 1}
	if v, ok := c.last("ServiceName"); ok {
		pos = v.Pos
	}
	c.fail(pos, "%q is no name of a service: letters, digits and :-_.\\@ are allowed", c.unit.Service)
}

// isUnitName says whether systemd allows a unit of that name.
func isUnitName(name string) bool {
	return len(name) < 256 && name[0] != '@' && filepath.Ext(name) != "" && !strings.HasPrefix(name, ".") &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(`:-_.\@`, r)
		})
}

// checkKeys finds sections and keys that mean nothing.
func (c *conversion) checkKeys() {
	k := c.unit.kind
	known := []string{"Unit", "Service", "Install", "Quadlet", k.section}
	for _, s := range c.unit.File.Sections() {
		if slices.Contains(known, s.Key) || strings.HasPrefix(s.Key, "X-") {
			continue
		}
		near := ""
		if name, ok := nearest.Of(s.Key, known); ok {
			near = fmt.Sprintf(": did you mean [%s]?", name)
		}
		c.warn(s.Pos, "unknown section [%s] is ignored%s", s.Key, near)
	}
	if !c.unit.File.Has(k.section) && len(k.required) > 0 {
		c.fail(c.header(), "there is no section [%s]", k.section)
	}
	c.checkSection(k.section, k.names())
	c.checkSection("Quadlet", []string{"DefaultDependencies"})
}

func (c *conversion) checkSection(section string, keys []string) {
	for _, v := range c.unit.File.Assignments(section) {
		if slices.Contains(keys, v.Key) {
			continue
		}
		near := fmt.Sprintf(": %s files have %d keys there; see docs/reference/quadlet.md", c.unit.kind.ext, len(keys))
		if name, ok := nearest.Of(v.Key, keys); ok {
			near = fmt.Sprintf(": did you mean %q?", name)
		}
		c.fail(v.Pos, "unknown key %q in [%s]%s", v.Key, section, near)
	}
}

// checkService refuses keys of [Service] that would take the unit from its user.
func (c *conversion) checkService() {
	for _, v := range c.unit.File.Assignments("Service") {
		switch v.Key {
		case "User", "Group", "DynamicUser":
			if v.Text != "" {
				c.fail(v.Pos, "%s in [Service] is not supported: the container runs as whom the service manager is; User in [Container] chooses the user within", v.Key)
			}
		}
	}
}

// dependencyKeys of [Unit] may name Quadlet files.
func isDependency(key string) bool {
	switch key {
	case "After", "Before", "BindsTo", "Conflicts", "OnFailure", "OnSuccess", "PartOf", "PropagatesReloadTo", "PropagatesStopTo",
		"ReloadPropagatedFrom", "Requires", "Requisite", "StopPropagatedFrom", "Upholds", "Wants":
		return true
	}
	return false
}

// dependencies writes the names of services where [Unit] has those of Quadlet files.
func (c *conversion) dependencies() {
	c.out.Replace("Unit", func(v unitfile.Value) (string, bool) {
		if !isDependency(v.Key) {
			return "", false
		}
		words, _ := unitfile.Words(v.Text, unitfile.Keep)
		changed := false
		for i, w := range words {
			if c.unit.kind.all[filepath.Ext(w)] == nil {
				continue
			}
			service, ok := c.serviceOf(w)
			if !ok {
				c.missing(v, "", w)
				continue
			}
			words[i], changed = service, true
		}
		return strings.Join(words, " "), changed
	})
}

// serviceOf is the service of a Quadlet file, or of an instance of one.
func (c *conversion) serviceOf(name string) (string, bool) {
	if u := c.set.Lookup(name); u != nil && u.File != nil {
		return u.Service, true
	}
	if prefix, instance, ok := template(name); ok && instance != "" {
		if u := c.set.Lookup(prefix + "@" + filepath.Ext(name)); u != nil && u.File != nil {
			return strings.Replace(u.Service, "@", "@"+instance, 1), true
		}
	}
	return "", false
}

// reference is the unit that a value names, and whose service must run first.
func (c *conversion) reference(v unitfile.Value, name string) (*Unit, bool) {
	kind := c.unit.kind.all[filepath.Ext(name)]
	u := c.set.Lookup(name)
	if u == nil || u.File == nil {
		c.missing(v, strings.TrimPrefix(kind.ext, ".")+" ", name)
		return nil, false
	}
	if u == c.unit {
		c.fail(v.Pos, "%s: %s refers to itself", v.Key, name)
		return nil, false
	}
	if u.resource == "" {
		c.fail(v.Pos, "%s: only systemd knows the name of what %s makes; give it a name without specifiers", v.Key, name)
		return nil, false
	}
	return u, true
}

// require has the service of u run first.
func (c *conversion) require(u *Unit) {
	c.out.Add("Unit", "Requires", u.Service)
	c.out.Add("Unit", "After", u.Service)
}

// missing says that a name leads nowhere.
func (c *conversion) missing(v unitfile.Value, kind, name string) {
	if u := c.set.Lookup(name); u != nil {
		c.fail(v.Pos, "%s: %s%s could not be read, for the reasons said above", v.Key, kind, name)
		return
	}
	var names []string
	for _, u := range c.set.Units {
		if filepath.Ext(u.Name) == filepath.Ext(name) {
			names = append(names, stem(u.Name))
		}
	}
	if near, ok := nearest.Of(stem(name), names); ok {
		c.fail(v.Pos, "%s%s: no such unit: did you mean %s?", kind, name, near+filepath.Ext(name))
		return
	}
	c.fail(v.Pos, "%s%s: no such unit; make %s beside this file, or correct %s", kind, name, name, v.Key)
}

// defaultDependencies has the service wait for the network, as pulls need it.
func (c *conversion) defaultDependencies() {
	if v, ok := c.unit.File.Get("Quadlet", "DefaultDependencies"); ok && v.Text != "" {
		if on, valid := unitfile.Bool(v.Text); valid && !on {
			return
		}
	}
	network := "network-online.target"
	if c.set.host.User {
		// A user's manager knows nothing of the system's targets.
		network = "pod-user-wait-network-online.service"
	}
	c.out.Prepend("Unit", "After", network)
	c.out.Prepend("Unit", "Wants", network)
}

// common is what all services have in [Unit].
func (c *conversion) common() {
	c.out.Set("Unit", "SourcePath", doubled(c.unit.Path)) // systemd removes no quotes there
	c.out.Add("Unit", "RequiresMountsFor", "%t/containers")
	if v, ok := c.unit.File.Get("Quadlet", "DefaultDependencies"); ok && v.Text != "" {
		if _, valid := unitfile.Bool(v.Text); !valid {
			c.notBool(v)
		}
	}
}

// mountsFor has the service wait for what a path lies on.
func (c *conversion) mountsFor(path string) {
	if strings.ContainsAny(path, " \t") {
		path = `"` + path + `"` // systemd knows no escapes there
	}
	c.out.Add("Unit", "RequiresMountsFor", path)
}

// oneshot is a service that makes something and has then run.
func (c *conversion) oneshot(remain bool) {
	c.byDefault("SyslogIdentifier", "%N")
	c.byDefault("Type", "oneshot")
	if remain {
		c.byDefault("RemainAfterExit", "yes")
	}
}

// byDefault assigns in [Service] unless the file does.
func (c *conversion) byDefault(key, text string) {
	if v, ok := c.unit.File.Get("Service", key); !ok || v.Text == "" {
		c.out.Set("Service", key, text)
	}
}

// oneOf checks a key of [Service] that other values would break.
func (c *conversion) oneOf(key string, values ...string) (string, bool) {
	v, ok := c.unit.File.Get("Service", key)
	if !ok || v.Text == "" {
		return "", false
	}
	if !slices.Contains(values, v.Text) {
		c.fail(v.Pos, "%s=%s in [Service] is not supported for %s files: use %s", key, v.Text, c.unit.kind.ext, strings.Join(values, " or "))
	}
	return v.Text, true
}

// path is a path that a value names relative to its file.
func (c *conversion) path(path string) string {
	if filepath.IsAbs(path) || strings.HasPrefix(path, "%") && !strings.HasPrefix(path, "%%") {
		return path
	}
	return filepath.Join(doubled(filepath.Dir(c.unit.Path)), path)
}

// links are those that [Install] asks for, and `systemctl enable` would make.
func (c *conversion) links() []Link {
	var links []Link
	target := c.unit.Service
	add := func(name, to string) {
		if !slices.ContainsFunc(links, func(l Link) bool { return l.Name == name }) {
			links = append(links, Link{name, to})
		}
	}
	for _, v := range c.unit.File.All("Install", "Alias") {
		for _, alias := range c.installNames(v) {
			if filepath.Ext(alias) != ".service" || alias == c.unit.Service {
				c.warn(v.Pos, "Alias=%s is ignored: an alias is another name that ends with .service", alias)
				continue
			}
			add(alias, c.unit.Service)
		}
	}
	if c.unit.isTemplate() {
		v, ok := c.unit.File.Get("Install", "DefaultInstance")
		if !ok || v.Text == "" {
			return links // each instance is enabled by a link to the file
		}
		target = strings.Replace(target, "@", "@"+v.Text, 1)
		if !isUnitName(target) {
			c.warn(v.Pos, "DefaultInstance=%s is ignored: %q is no name of a unit", short(v.Text), target)
			return links
		}
	}
	for _, by := range [][2]string{{"WantedBy", ".wants/"}, {"RequiredBy", ".requires/"}, {"UpheldBy", ".upholds/"}} {
		for _, v := range c.unit.File.All("Install", by[0]) {
			for _, name := range c.installNames(v) {
				add(name+by[1]+target, "../"+c.unit.Service)
			}
		}
	}
	return links
}

// installNames are the units that a value of [Install] names.
func (c *conversion) installNames(v unitfile.Value) []string {
	words, _ := unitfile.Words(v.Text, unitfile.Keep)
	var names []string
	for _, w := range words {
		name, ok := expand(w, c.unit.Service)
		if !ok {
			continue // of a template's instances
		}
		if service, ok := c.serviceOf(name); ok {
			name = service
		}
		if name = strings.ReplaceAll(name, "%%", "%"); !isUnitName(name) {
			c.warn(v.Pos, "%s=%s is ignored: it is no name of a unit", v.Key, w)
			continue
		}
		names = append(names, name)
	}
	return names
}
