// Package why explains whether a process of a container may reach a path. It
// walks the path component by component inside of the container's root, notes
// what the kernel would look at (owner, mode, ACL, mount, label), and judges it
// by the kernel's rules, so that it can also tell which flag would change the
// answer. Nothing of the image is executed. Which container, and how its root is
// opened, is libpod's matter.
package why

import (
	"fmt"
	"slices"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/shellword"
)

// Access is what the process wants: read(2), write(2) or execve(2) of a file; of
// a directory to list it, to change what is in it, to enter it.
type Access uint32

// The kinds of access, as bits of a mode.
const (
	Exec  Access = 1
	Write Access = 2
	Read  Access = 4
)

// Names are the kinds of access in words.
func (a Access) Names() []string {
	var names []string
	for _, k := range []struct {
		bit  Access
		name string
	}{{Read, "read"}, {Write, "write"}, {Exec, "execute"}} {
		if a&k.bit != 0 {
			names = append(names, k.name)
		}
	}
	return names
}

// Subject is who wants it: ids as the container sees them.
type Subject struct {
	UID, GID uint32
	Groups   []uint32
	// KeepGroups: the process has the groups of the host's user besides.
	KeepGroups bool
	// Override and Search are CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
	Override, Search bool
	// Label is its SELinux label, empty without SELinux.
	Label string
}

func (s *Subject) in(gid uint32) bool { return s.GID == gid || slices.Contains(s.Groups, gid) }

// Step is a component of the walk and what is known of it. Ids are those that
// the container sees.
type Step struct {
	Path string
	Kind Kind
	// Mode has the permission bits with setuid, setgid and sticky.
	Mode     uint32
	UID, GID uint32
	// NoUID and NoGID say that the container's user namespace does not map them.
	NoUID, NoGID bool
	// HostUID and HostGID are the ids on the host, -1 where nobody can tell.
	HostUID, HostGID int
	ACL              []ACLEntry
	// Self are the accesses that pod itself has.
	Self Access
	// Target is where a symbolic link leads.
	Target string
	// Mount is the index in Tree.Mounts, -1 for the root file system; Where says
	// the same in words.
	Mount int
	Where string
	// ReadOnly, NoExec and NoDev are of the mount.
	ReadOnly, NoExec, NoDev bool
	// Immutable and Append are attributes of the file (chattr).
	Immutable, Append bool
	Label             string
	// Parent is the step of the directory it is in, -1 for the root.
	Parent int
	// Final: the path ends with it.
	Final bool
	// Interpreter is the step at which the walk to the interpreter of a program
	// begins, 0 if it has none.
	Interpreter int
}

// Kind is what a component is.
type Kind string

// The kinds of components; the last four end a walk.
const (
	Directory Kind = "directory"
	File      Kind = "file"
	Link      Kind = "link"
	Device    Kind = "device"
	Special   Kind = "special file"

	Missing Kind = "missing"
	Loop    Kind = "loop"
	Unmade  Kind = "unmade" // comes into being when the container starts
	Hidden  Kind = "hidden" // pod itself cannot see it
)

// Mount is a mount of the container's description.
type Mount struct {
	Type        string // bind, volume or tmpfs
	Source      string // as on the command line
	Destination string
	Options     []string
	ReadOnly    bool
	// Dir is its content while the container does not run, empty if it has none.
	Dir string
	// NoChown says that :U must not be proposed, since the source is more than
	// a container's.
	NoChown bool
}

// flag writes the mount as an option, with options added and dropped.
func (m *Mount) flag(add string, drop ...string) string {
	options := slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return slices.Contains(drop, o) })
	if add != "" {
		options = append(options, add)
	}
	name, spec := "-v", m.Source+":"+m.Destination
	if m.Type == "tmpfs" {
		name, spec = "--tmpfs", m.Destination
	}
	if len(options) > 0 {
		spec += ":" + strings.Join(options, ",")
	}
	return name + " " + shellword.Quote(spec)
}

// Maps translate ids of the container to those of the host.
type Maps struct {
	// Own is the container's own user namespace below pod's; empty when it
	// shares that one.
	UID, GID []rspec.LinuxIDMapping
	// Host translates an id of pod's namespace to the host, -1 if it is not
	// mapped.
	HostUID, HostGID func(uint32) int
	// Overflow is what an unmapped id looks like, 0 if there are no such.
	Overflow uint32
}

// inside translates an id of pod's namespace to the container's.
func inside(maps []rspec.LinuxIDMapping, id uint32) (uint32, bool) {
	if len(maps) == 0 {
		return id, true
	}
	for _, m := range maps {
		if id >= m.HostID && id-m.HostID < m.Size {
			return m.ContainerID + id - m.HostID, true
		}
	}
	return id, false
}

// Remedy is a change of the flags with which the container is made.
type Remedy struct {
	// Add are options to give, Remove those to leave out.
	Add    string `json:"add,omitempty"`
	Remove string `json:"remove,omitempty"`
	Why    string `json:"why"`
}

// Refusal is why the kernel says no.
type Refusal struct {
	// Component is where.
	Component string `json:"component"`
	// Kind is a word for programs: missing, not-a-directory, loop, mode, acl,
	// read-only, noexec, nodev, immutable, label, sticky, interpreter, hidden,
	// stopped.
	Kind   string `json:"kind"`
	Reason string `json:"reason"`

	step int
}

// Answer is the whole explanation.
type Answer struct {
	Steps   []Step
	Refused *Refusal
	// Remedies, each of which is enough; the smallest first.
	Remedies []Remedy
}

// Explain walks the path and judges it.
func Explain(t *Tree, path string, s *Subject, a Access) (*Answer, error) {
	steps, err := t.walk(path, a)
	if err != nil {
		return nil, err
	}
	answer := &Answer{Steps: steps, Refused: judge(steps, 0, s, a)}
	if answer.Refused != nil {
		answer.Remedies = t.mend(steps, s, a, answer.Refused)
	}
	return answer, nil
}

// letters are the permission bits of a mode as ls shows them.
func letters(mode uint32) string {
	b := []byte("rwxrwxrwx")
	for i := range b {
		if mode&(1<<(8-i)) == 0 {
			b[i] = '-'
		}
	}
	for _, special := range []struct {
		bit  uint32
		at   int
		with byte
	}{{0o4000, 2, 's'}, {0o2000, 5, 's'}, {0o1000, 8, 't'}} {
		if mode&special.bit != 0 {
			if b[special.at] == '-' {
				b[special.at] = special.with - 'a' + 'A'
			} else {
				b[special.at] = special.with
			}
		}
	}
	return string(b)
}

// Letters is the mode of a step as ls shows it.
func (st *Step) Letters() string {
	first := map[Kind]string{Directory: "d", Link: "l", Device: "c", Special: "p"}[st.Kind]
	if first == "" {
		first = "-"
	}
	plus := ""
	if len(st.ACL) > 0 {
		plus = "+"
	}
	return first + letters(st.Mode) + plus
}

// Owner is owner and group as the container sees them.
func (st *Step) Owner() string {
	name := func(id uint32, unmapped bool) string {
		if unmapped {
			return "unmapped"
		}
		return fmt.Sprint(id)
	}
	return name(st.UID, st.NoUID) + ":" + name(st.GID, st.NoGID)
}
