package unitgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Flags tells of the options of pod's commands. A command is given by its words,
// none for pod itself.
type Flags interface {
	// Long tells whether an option takes a value from the next argument.
	Long(command []string, name string) (takes, known bool)
	// Short is the name of the option with this letter.
	Short(command []string, letter byte) (name string)
}

// option is one option of a recorded command line: its name, value and arguments.
// Letters that stand together (-dit) are one, with several names.
type option struct {
	names []string
	value string
	has   bool // a value
	args  []string
}

func (o *option) is(names ...string) bool {
	return slices.ContainsFunc(o.names, func(n string) bool { return slices.Contains(names, n) })
}

// off says whether a switch was turned off.
func (o *option) off() bool {
	return o.has && slices.Contains([]string{"false", "0", "f", "F", "FALSE", "False"}, o.value)
}

// cmdline is a recorded command line in its parts.
type cmdline struct {
	global  []option
	verbs   []string
	options []option
	rest    []string // image and command, or operands
}

// read takes a command line apart. options of pod itself may stand behind the
// verb, too. Operands end the options, unless they are mixed.
func read(argv []string, flags Flags, mixed bool, ends ...string) (*cmdline, error) {
	if len(argv) < 2 {
		return nil, errors.New("no create command found")
	}
	line, args := &cmdline{}, argv[1:]
	for len(args) > 0 && !slices.Contains(ends, last(line.verbs)) {
		if !strings.HasPrefix(args[0], "-") || args[0] == "-" {
			line.verbs, args = append(line.verbs, args[0]), args[1:]
			continue
		}
		o, rest, err := next(args, line.verbs, flags)
		if err != nil {
			return nil, err
		}
		line.global, args = append(line.global, o), rest
	}
	for len(args) > 0 {
		if args[0] == "--" {
			line.rest = append(line.rest, args[1:]...)
			break
		}
		if !strings.HasPrefix(args[0], "-") || args[0] == "-" {
			if !mixed {
				line.rest = args
				break
			}
			line.rest, args = append(line.rest, args[0]), args[1:]
			continue
		}
		o, rest, err := next(args, line.verbs, flags)
		if err != nil {
			return nil, err
		}
		if _, own := flags.Long(nil, o.names[0]); own {
			line.global = append(line.global, o)
		} else {
			line.options = append(line.options, o)
		}
		args = rest
	}
	return line, nil
}

func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// next takes one option off the arguments.
func next(args, verbs []string, flags Flags) (option, []string, error) {
	o, arg := option{}, args[0]
	var takes bool
	if long, ok := strings.CutPrefix(arg, "--"); ok {
		var name string
		name, o.value, o.has = strings.Cut(long, "=")
		var known bool
		if takes, known = flags.Long(verbs, name); !known {
			return o, nil, fmt.Errorf("%s of the command that made it is no option of this pod", arg)
		}
		o.names = []string{name}
	} else {
		for letters := arg[1:]; letters != ""; letters = letters[1:] {
			name := flags.Short(verbs, letters[0])
			if name == "" {
				return o, nil, fmt.Errorf("%s of the command that made it is no option of this pod", arg)
			}
			o.names = append(o.names, name)
			takes, _ = flags.Long(verbs, name)
			if rest := letters[1:]; rest != "" && (takes || rest[0] == '=') {
				o.value, o.has = strings.TrimPrefix(rest, "="), true
				break
			}
		}
	}
	o.args, args = []string{arg}, args[1:]
	if takes && !o.has {
		if len(args) == 0 {
			return o, nil, fmt.Errorf("%s of the command that made it lacks its value", arg)
		}
		o.value, o.has = args[0], true
		o.args, args = append(o.args, args[0]), args[1:]
	}
	return o, args, nil
}

// words writes an option.
func (o *option) words() []string { return words(o.args) }

// last is the last option of a name, which counts.
func (l *cmdline) last(name string) *option {
	for i := len(l.options) - 1; i >= 0; i-- {
		if l.options[i].is(name) {
			return &l.options[i]
		}
	}
	return nil
}

// program is what commands begin with: pod's own path and global options, and
// those of the command line that these do not have.
func (l *cmdline) program(self []string) []string {
	program := words(self[1:])
	for i := range l.global {
		name := l.global[i].names[0]
		if !slices.ContainsFunc(self[1:], func(arg string) bool { return arg == "--"+name || strings.HasPrefix(arg, "--"+name+"=") }) {
			program = append(program, l.global[i].words()...)
		}
	}
	return program
}
