package quadlet

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// command is a command line of the service.
type command struct{ args []string }

func (c *command) add(args ...string) { c.args = append(c.args, args...) }

// newCommand begins with the program and what the unit has before every verb.
func (c *conversion) newCommand(verb ...string) *command {
	cmd := &command{args: []string{doubled(c.set.host.Program)}}
	for _, v := range c.own("ContainersConfModule") {
		cmd.add("--module=" + unitfile.Unwrap(v.Text))
	}
	for _, v := range c.own("GlobalArgs") {
		cmd.add(c.words(v, unitfile.Unescape)...)
	}
	cmd.add(verb...)
	return cmd
}

// exec makes the command one of the service's. A failure of one whose key begins with
// a dash does not count.
func (c *conversion) exec(key string, cmd *command) {
	c.out.Add("Service", strings.TrimPrefix(key, "-"), key[:len(key)-len(strings.TrimPrefix(key, "-"))]+unitfile.Join(cmd.args...))
}

// own are the values of a key of the unit's own section.
func (c *conversion) own(key string) []unitfile.Value {
	return c.unit.File.All(c.unit.kind.section, key)
}

// last is the last value of a key of the unit's own section; an empty one is none.
func (c *conversion) last(key string) (unitfile.Value, bool) {
	v, ok := c.unit.File.Get(c.unit.kind.section, key)
	v.Text = unitfile.Unwrap(v.Text)
	return v, ok && v.Text != ""
}

// has says whether the unit's own section has the key, with a value.
func (c *conversion) has(key string) bool { _, ok := c.last(key); return ok }

// words are a value's, as the field splits them.
func (c *conversion) words(v unitfile.Value, escapes unitfile.Escapes) []string {
	words, balanced := unitfile.Words(v.Text, escapes)
	if !balanced {
		c.warn(v.Pos, "%s has a quote without its pair: it is taken to end with the line", v.Key)
	}
	return words
}

// isTrue says whether a key is set to true.
func (c *conversion) isTrue(key string) bool {
	value, _ := c.boolean(key)
	return value
}

// boolean is the value of a key, and whether it has one.
func (c *conversion) boolean(key string) (value, set bool) {
	v, ok := c.last(key)
	if !ok {
		return false, false
	}
	value, valid := unitfile.Bool(v.Text)
	if !valid {
		c.notBool(v)
	}
	return value, valid
}

func (c *conversion) notBool(v unitfile.Value) {
	c.fail(v.Pos, "%s=%s: true or false is expected", v.Key, short(v.Text))
}

// short keeps a message on one line of a screen.
func short(text string) string {
	if len(text) > 60 {
		return text[:60] + "…"
	}
	return text
}

// apply puts the key's values into the command, each as the key's How says.
func (c *conversion) apply(k Key) {
	switch k.How {
	case Elsewhere:
	case Special:
		k.apply(c, k)
	case Once:
		if v, ok := c.last(k.Name); ok && c.valid(k, v) {
			c.cmd.add(k.args(v.Text)...)
		}
	case Lines:
		for _, v := range c.own(k.Name) {
			c.cmd.add(k.args(unitfile.Unwrap(v.Text))...)
		}
	case Words, Args:
		for _, v := range c.own(k.Name) {
			for _, w := range c.words(v, unitfile.Escapes(k.How == Args)) {
				c.cmd.add(k.args(w)...)
			}
		}
	case Pairs:
		c.pairs(k)
	case Switch:
		if on, ok := c.boolean(k.Name); ok && on {
			c.cmd.add(k.args("")...)
		}
	case Bool:
		if on, ok := c.boolean(k.Name); ok {
			if on {
				c.cmd.add(k.Flag)
			} else {
				c.cmd.add(k.Flag + "=false")
			}
		}
	}
}

// args are the option with a value: "--flag", "value", or with the key's prefix of
// values, "--security-opt", "label=level:value".
func (k Key) args(value string) []string {
	if k.Flag == "" {
		return []string{value}
	}
	return []string{k.Flag, k.Prefix + value}
}

// pairs puts KEY=VALUE words into the command. Of several for one KEY the last counts.
func (c *conversion) pairs(k Key) {
	all := map[string]string{}
	for _, v := range c.own(k.Name) {
		for _, w := range c.words(v, unitfile.Unescape) {
			name, _, found := strings.Cut(w, "=")
			if !found || name == "" {
				c.warn(v.Pos, "%s=%s is ignored: NAME=VALUE is expected", k.Name, short(w))
				continue
			}
			all[name] = w
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c.cmd.add(k.args(all[name])...)
	}
}

// valid checks a value that the option would refuse when the service starts. What
// has a specifier is left to the start.
func (c *conversion) valid(k Key, v unitfile.Value) bool {
	if strings.Contains(v.Text, "%") {
		return true
	}
	var err error
	switch {
	case len(k.Values) > 0 && !slices.Contains(k.Values, strings.ToLower(v.Text)):
		c.fail(v.Pos, "%s=%s: %s is expected", k.Name, short(v.Text), strings.Join(k.Values, ", "))
		return false
	case k.Type == Number:
		if _, err = strconv.ParseInt(v.Text, 10, 64); err != nil {
			c.fail(v.Pos, "%s=%s: a number is expected", k.Name, short(v.Text))
		}
	case k.Type == Count:
		if _, err = strconv.ParseUint(v.Text, 10, 32); err != nil {
			c.fail(v.Pos, "%s=%s: a number that is not negative is expected", k.Name, short(v.Text))
		}
	case k.Type == Duration && v.Text != "disable":
		if _, err = time.ParseDuration(v.Text); err != nil {
			c.fail(v.Pos, "%s=%s: a duration is expected, as 30s or 1m30s", k.Name, short(v.Text))
		}
	}
	return err == nil
}

// options puts the options of the unit's own section into the command, those that the
// service sets by itself, and last what the user gives as they are.
func (c *conversion) options(own ...string) {
	for _, k := range c.unit.kind.keys {
		if k.Name != "PodmanArgs" {
			c.apply(k)
		}
	}
	c.cmd.add(own...)
	c.apply(Key{Name: "PodmanArgs", How: Args})
}
