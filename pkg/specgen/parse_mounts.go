package specgen

import (
	"encoding/csv"
	"fmt"
	"path"
	"slices"
	"strings"
)

// OwnOptions are the mount options that pod itself carries out; the runtime
// never sees them.
type OwnOptions struct {
	// Relabel is "z" (shared) or "Z" (private), for SELinux.
	Relabel string
	// Chown (U) changes the source's owner to the container's user.
	Chown bool
	// Overlay (O) mounts a throw-away overlay over the source; Upper and Work
	// are its directories when the user names them.
	Overlay     bool
	Upper, Work string
	// Idmap maps the ids of the source to the container's.
	Idmap bool
	// IdmapOf are mappings of the mount's own, as idmap= has them.
	IdmapOf string
	// Copy and NoCopy say whether a new volume gets the image's content.
	Copy, NoCopy bool
}

// Split parts the options of a mount into those for the kernel, in their
// order, and those that pod carries out.
func (m Mount) Split() (kernel []string, own OwnOptions) {
	kernel = make([]string, 0, len(m.Options)+4)
	for _, o := range m.Options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "z", "Z":
			own.Relabel = o
		case "U":
			own.Chown = true
		case "O":
			own.Overlay = true
		case "upperdir":
			own.Upper = value
		case "workdir":
			own.Work = value
		case "idmap":
			own.Idmap, own.IdmapOf = true, value
		case "copy":
			own.Copy = true
		case "nocopy":
			own.NoCopy = true
		default:
			kernel = append(kernel, o)
		}
	}
	return kernel, own
}

// ReadOnly reports whether the mount is read-only; the last word wins.
func (m Mount) ReadOnly() bool {
	ro := false
	for _, o := range m.Options {
		switch o {
		case "ro":
			ro = true
		case "rw":
			ro = false
		}
	}
	return ro
}

// Writable reports whether an image is mounted for writing, which it is not unless
// that is asked for.
func (m Mount) Writable() bool { return slices.Contains(m.Options, "rw") && !m.ReadOnly() }

// ParseVolume reads a value of --volume: [SOURCE:]DESTINATION[:OPTIONS]. A
// source that begins with "/" or "." is a path on the host, and may still be
// relative; any other is a volume's name; none asks for an anonymous volume.
func ParseVolume(s string) (Mount, error) {
	parts := splitColons(s)
	m := Mount{Type: "volume"}
	switch len(parts) {
	case 1:
		m.Destination = parts[0]
	case 2:
		m.Source, m.Destination = parts[0], parts[1]
	case 3:
		m.Source, m.Destination = parts[0], parts[1]
		if parts[2] != "" {
			m.Options = strings.Split(parts[2], ",")
		}
	default:
		return Mount{}, fmt.Errorf("volume %q: too many colons: it is [SOURCE:]DESTINATION[:OPTIONS]", s)
	}
	if len(parts) > 1 && m.Source == "" {
		return Mount{}, fmt.Errorf("volume %q: empty source", s)
	}
	if strings.HasPrefix(m.Source, "/") || strings.HasPrefix(m.Source, ".") {
		m.Type = "bind"
	}
	if err := m.finish(); err != nil {
		return Mount{}, fmt.Errorf("volume %q: %w", s, err)
	}
	return m, nil
}

// splitColons splits at colons; a backslash before one keeps it.
func splitColons(s string) []string {
	if !strings.Contains(s, `\:`) {
		return strings.Split(s, ":")
	}
	var parts []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == ':':
			b.WriteByte(':')
			i++
		case s[i] == ':':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(parts, b.String())
}

// ParseTmpfs reads a value of --tmpfs: DESTINATION[:OPTIONS].
func ParseTmpfs(s string) (Mount, error) {
	dst, opts, _ := strings.Cut(s, ":")
	m := Mount{Type: "tmpfs", Destination: dst}
	if opts != "" {
		m.Options = strings.Split(opts, ",")
	}
	if err := m.finish(); err != nil {
		return Mount{}, fmt.Errorf("tmpfs %q: %w", s, err)
	}
	return m, nil
}

// ParseMount reads a value of --mount: comma-separated KEY=VALUE pairs, quoted
// as in CSV where a value holds a comma. The type is volume unless it is given.
func ParseMount(s string) (Mount, error) {
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil || strings.ContainsAny(s, "\n\r") {
		return Mount{}, fmt.Errorf("mount %q: not a comma-separated list of KEY=VALUE", s)
	}
	m := Mount{Type: "volume"}
	for _, f := range fields {
		if t, ok := strings.CutPrefix(f, "type="); ok {
			m.Type = t
		}
	}
	switch m.Type {
	case "bind", "volume", "tmpfs", "ramfs", "devpts", "image", "glob":
	case "artifact", "npipe", "cluster":
		return Mount{}, unsupported("--mount type=%s", m.Type)
	default:
		return Mount{}, fmt.Errorf("mount %q: unknown type %q: it must be %s", s, m.Type, mountTypes)
	}
	for _, f := range fields {
		if err := m.setField(f); err != nil {
			return Mount{}, fmt.Errorf("mount %q: %w", s, err)
		}
	}
	switch {
	case m.Source == "" && m.Type != "volume" && m.hasSource():
		return Mount{}, fmt.Errorf("mount %q: a mount of type %s needs a source", s, m.Type)
	case m.Type == "devpts" && m.Destination == "":
		m.Destination = "/dev/pts"
	case m.Type == "glob" && m.Destination == "":
		m.Destination = sameAsSource
	}
	if err := m.finish(); err != nil {
		return Mount{}, fmt.Errorf("mount %q: %w", s, err)
	}
	return m, nil
}

// mountTypes is what --mount takes, for errors.
const mountTypes = "bind, volume, tmpfs, ramfs, devpts, image or glob"

// sameAsSource, as the destination of a glob, mounts each match where it is on the
// host.
const sameAsSource = "/."

// hasSource says whether the type of mount is of something.
func (m *Mount) hasSource() bool {
	switch m.Type {
	case "tmpfs", "ramfs", "devpts":
		return false
	}
	return true
}

// Expand makes a bind of each host path that the pattern of a glob has matched.
func (m Mount) Expand(matches []string) []Mount {
	var binds []Mount
	for _, found := range matches {
		b := m
		b.Type, b.Source, b.Destination = "bind", found, path.Clean(found)
		if m.Destination != sameAsSource {
			b.Destination = path.Join(m.Destination, path.Base(found))
		}
		b.Options = slices.Clone(m.Options)
		binds = append(binds, b)
	}
	return binds
}

// setField applies one KEY[=VALUE] of --mount.
func (m *Mount) setField(field string) error {
	key, value, hasValue := strings.Cut(field, "=")
	switch key {
	case "type":
		return nil
	case "src", "source":
		if !m.hasSource() {
			return fmt.Errorf("a %s has no source", m.Type)
		}
		m.Source = value
	case "dst", "destination", "target":
		m.Destination = value
	case "subpath", "volume-subpath":
		if m.Type != "volume" && m.Type != "image" {
			return fmt.Errorf("%s is for volumes and images only", key)
		}
		m.SubPath = value
	case "bind-propagation":
		if group, err := mountOptionGroup("bind", value); err != nil || group != "propagation" {
			return fmt.Errorf("unknown bind-propagation %q", value)
		}
		m.Options = append(m.Options, value)
	case "relabel":
		label, ok := map[string]string{"shared": "z", "private": "Z"}[value]
		if !ok {
			return fmt.Errorf("relabel must be shared or private")
		}
		m.Options = append(m.Options, label)
	case "tmpfs-size", "tmpfs-mode":
		if m.Type != "tmpfs" && m.Type != "ramfs" {
			return fmt.Errorf("%s is for tmpfs only", key)
		}
		m.Options = append(m.Options, strings.TrimPrefix(key, "tmpfs-")+"="+value)
	case "size", "mode", "upperdir", "workdir", "uid", "gid", "max":
		m.Options = append(m.Options, field)
	case "idmap":
		switch {
		case !hasValue || value == "true":
			m.Options = append(m.Options, "idmap")
		case value != "false":
			m.Options = append(m.Options, field)
		}
	case "consistency": // docker's hint for shared folders of virtual machines; Linux has one consistency
		return nil
	case "volume-opt", "volume-label", "volume-driver":
		return m.setNew(key, value)
	default:
		return m.setSwitch(key, value, hasValue)
	}
	return nil
}

// setNew applies what is said of a volume that is to be made.
func (m *Mount) setNew(key, value string) error {
	if m.Type != "volume" {
		return fmt.Errorf("%s is for volumes only", key)
	}
	if key == "volume-driver" {
		m.Driver = value
		return nil
	}
	to := &m.DriverOptions
	if key == "volume-label" {
		to = &m.Labels
	}
	name, text, _ := strings.Cut(value, "=")
	if name == "" {
		return fmt.Errorf("%s must be in form %s=KEY=VALUE", key, key)
	}
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[name] = text
	return nil
}

// setSwitch applies one KEY[=true|false] of --mount.
func (m *Mount) setSwitch(key, value string, hasValue bool) error {
	on := true
	if hasValue {
		switch strings.ToLower(value) {
		case "true", "1":
		case "false", "0":
			on = false
		default:
			return fmt.Errorf("%s must be true or false, not %q", key, value)
		}
	}
	pair, ok := map[string][2]string{
		"ro": {"ro", "rw"}, "readonly": {"ro", "rw"}, "rw": {"rw", "ro"}, "readwrite": {"rw", "ro"},
		"U": {"U", ""}, "chown": {"U", ""}, "O": {"O", ""},
		"dev": {"dev", "nodev"}, "nodev": {"nodev", "dev"},
		"exec": {"exec", "noexec"}, "noexec": {"noexec", "exec"},
		"suid": {"suid", "nosuid"}, "nosuid": {"nosuid", "suid"},
		"copy": {"copy", "nocopy"}, "nocopy": {"nocopy", "copy"}, "volume-nocopy": {"nocopy", "copy"},
		"tmpcopyup": {"tmpcopyup", "notmpcopyup"}, "notmpcopyup": {"notmpcopyup", "tmpcopyup"},
		"bind-nonrecursive": {"bind", "rbind"}, "no-dereference": {"no-dereference", ""}, "noswap": {"noswap", ""},
	}[key]
	if !ok {
		return fmt.Errorf("unknown option %q", key)
	}
	o := pair[0]
	if !on {
		o = pair[1]
	}
	if o != "" {
		m.Options = append(m.Options, o)
	}
	return nil
}

// finish cleans the destination and checks the mount on its own.
func (m *Mount) finish() error {
	if m.Type == "glob" && m.Destination == sameAsSource {
		return m.check()
	}
	if err := checkDestination(m.Destination); err != nil {
		return err
	}
	m.Destination = path.Clean(m.Destination)
	return m.check()
}

func checkDestination(dst string) error {
	switch {
	case dst == "":
		return fmt.Errorf("no destination given")
	case !path.IsAbs(dst):
		return fmt.Errorf("destination %q must be an absolute path", dst)
	case path.Clean(dst) == "/":
		return fmt.Errorf("destination can't be '/'")
	case hasControl(dst):
		return fmt.Errorf("destination %q has control characters", dst)
	}
	return nil
}

// check tests source and options against the mount's type.
func (m *Mount) check() error {
	if hasControl(m.Source) {
		return fmt.Errorf("source %q has control characters", m.Source)
	}
	if m.Type == "volume" && m.Source != "" {
		if err := CheckName(m.Source); err != nil {
			return fmt.Errorf("volume name: %w", err)
		}
	}
	if m.SubPath != "" && (hasControl(m.SubPath) || path.IsAbs(m.SubPath) || slices.Contains(strings.Split(m.SubPath, "/"), "..")) {
		return fmt.Errorf("subpath %q must be relative and stay inside the volume", m.SubPath)
	}
	seen := make(map[string]string, len(m.Options))
	for _, o := range m.Options {
		group, err := mountOptionGroup(m.Type, o)
		if err != nil {
			return err
		}
		if other, ok := seen[group]; ok && other != o {
			return fmt.Errorf("options %q and %q conflict", other, o)
		}
		seen[group] = o
	}
	if (seen["upperdir"] != "" || seen["workdir"] != "") && seen["O"] == "" {
		return fmt.Errorf("upperdir and workdir need the option O")
	}
	if (seen["upperdir"] == "") != (seen["workdir"] == "") {
		return fmt.Errorf("must set both `upperdir` and `workdir`")
	}
	return nil
}

// mountOptionGroup names the group of which one option only may be given, and
// refuses options that the type does not know: what passes here reaches
// mount(2) as a flag or as data.
func mountOptionGroup(kind, o string) (string, error) {
	key, value, hasValue := strings.Cut(o, "=")
	if strings.ContainsAny(o, ", \t") || hasControl(o) {
		return "", fmt.Errorf("invalid option %q", o)
	}
	group := ""
	switch key {
	case "ro", "rw":
		group = "ro"
	case "exec", "noexec":
		group = "exec"
	case "suid", "nosuid":
		group = "suid"
	case "dev", "nodev":
		group = "dev"
	case "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable":
		group = "propagation"
	case "z", "Z":
		group = "relabel"
	case "U", "noatime", "relatime", "strictatime", "nodiratime", "sync", "dirsync":
		group = key
	}
	switch {
	case group != "":
	case kind == "devpts":
		if group = key; !slices.Contains([]string{"uid", "gid", "mode", "max"}, key) || value == "" || strings.Trim(value, "0123456789") != "" {
			return "", fmt.Errorf("unknown devpts option %q", o)
		}
		return group, nil
	case kind == "tmpfs" || kind == "ramfs":
		group = tmpfsOptionGroup(key)
		if group == "" || (group != "tmpcopyup" && group != "noswap") != (hasValue && value != "") {
			return "", fmt.Errorf("unknown tmpfs option %q", o)
		}
		return group, nil
	default:
		group = bindOptionGroup(key)
		if key == "upperdir" || key == "workdir" {
			if !path.IsAbs(value) {
				return "", fmt.Errorf("%s must be an absolute path", key)
			}
			return group, nil
		}
		if key == "idmap" && hasValue {
			_, _, err := parseMountIdmap(value)
			return group, err
		}
	}
	if group == "" || hasValue {
		return "", fmt.Errorf("unknown option %q", o)
	}
	return group, nil
}

func tmpfsOptionGroup(key string) string {
	switch key {
	case "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "huge", "mpol":
		return key
	case "tmpcopyup", "notmpcopyup":
		return "tmpcopyup"
	case "noswap":
		return key
	}
	return ""
}

func bindOptionGroup(key string) string {
	switch key {
	case "bind", "rbind":
		return "bind"
	case "copy", "nocopy":
		return "copy"
	case "O", "idmap", "upperdir", "workdir", "no-dereference":
		return key
	}
	return ""
}
