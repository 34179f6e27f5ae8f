package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// proof is the mark of a script that shows the effect of a command and some of
// its flags: "# proves: run --cap-add --cap-drop".
const proof = "# proves:"

// proofs maps a command, and a command and flag ("run --cap-add"), to the
// scripts that prove it.
type proofs map[string][]string

// commandSet is the command tree by the words that call a command. Two ways to
// call the same one (`ps`, `container ls`) share a canonical name.
type commandSet struct {
	commands  map[string]*cobra.Command
	canonical map[string]string
}

// shorter are commands that do the same under another name than in their group, and
// commands of a group that are no others although their verb is a command, too.
func shorter() map[string]string {
	return map[string]string{
		"container list": "ps", "container ls": "ps", "container ps": "ps",
		"image list": "images", "image ls": "images", "image rm": "rmi",
		"image mount": "image mount", "image unmount": "image unmount", "image umount": "image unmount",
		"image diff": "image diff", "image inspect": "image inspect",
		"buildx build": "build", "buildx prune": "image prune",
	}
}

func newCommandSet(root *cobra.Command) commandSet {
	set := commandSet{commands: map[string]*cobra.Command{}, canonical: map[string]string{}}
	var walk func(cmd *cobra.Command, words string)
	walk = func(cmd *cobra.Command, words string) {
		for _, sub := range cmd.Commands() {
			for _, name := range append([]string{sub.Name()}, sub.Aliases...) {
				set.canonical[strings.TrimSpace(words+" "+name)] = strings.TrimSpace(words + " " + sub.Name())
			}
			name := strings.TrimSpace(words + " " + sub.Name())
			set.commands[name] = sub
			walk(sub, name)
		}
	}
	walk(root, "")
	set.commands["pod"], set.canonical["pod"] = root, "pod"
	top := shorter()
	for words, name := range set.canonical {
		group, verb, found := strings.Cut(name, " ")
		short, named := top[name]
		switch {
		case !found:
			continue
		case named:
		case set.commands[verb] != nil && (group == "container" || group == "image" || group == "system"):
			short = verb
		default:
			continue
		}
		if set.commands[short] != nil && short != name {
			set.canonical[words] = short
		}
	}
	return set
}

// readProofs reads the marks of all scripts below dir, and refuses one that
// names an unknown command or flag, or a flag that its script does not use.
func (set commandSet) readProofs(dir fs.FS) (proofs, error) {
	found := proofs{}
	scripts, err := fs.Glob(dir, "*/*.txtar")
	if err != nil {
		return nil, err
	}
	for _, name := range scripts {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			rest, ok := strings.CutPrefix(lines.Text(), proof)
			if !ok {
				continue
			}
			if err := set.addProof(found, strings.TrimSuffix(name, path.Ext(name)), rest, text); err != nil {
				return nil, fmt.Errorf("%s: %s%s: %w", name, proof, rest, err)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return found, nil
}

// addProof adds one mark of a script.
func (set commandSet) addProof(found proofs, script, mark string, text []byte) error {
	words := strings.Fields(mark)
	first := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "-") })
	if first < 0 {
		first = len(words)
	}
	name, ok := set.canonical[strings.Join(words[:first], " ")]
	if !ok {
		return fmt.Errorf("no command %q", strings.Join(words[:first], " "))
	}
	add := func(key string) {
		if !slices.Contains(found[key], script) {
			found[key] = append(found[key], script)
		}
	}
	add(name)
	for _, flag := range words[first:] {
		f := lookup(set.commands[name], strings.TrimPrefix(flag, "--"))
		switch {
		case f == nil || f.Hidden && f.Usage == unsupported:
			return fmt.Errorf("%s has no flag %s", name, flag)
		case !uses(text, f):
			return fmt.Errorf("the script does not use %s", flag)
		}
		add(name + " --" + f.Name)
	}
	return nil
}

// unsupported is the usage of flags that are known, but refused.
const unsupported = "Not supported yet"

func lookup(cmd *cobra.Command, name string) *pflag.Flag {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f
	}
	return cmd.Root().PersistentFlags().Lookup(name)
}

// uses reports whether a script types the flag, in its long or short form.
func uses(text []byte, f *pflag.Flag) bool {
	pattern := `--` + regexp.QuoteMeta(f.Name) + `\b`
	if f.Shorthand != "" {
		pattern += `|\s-[A-Za-z]*` + f.Shorthand
	}
	body := regexp.MustCompile(`(?m)^#.*$`).ReplaceAll(text, nil)
	return regexp.MustCompile(pattern).Match(body)
}

// page counts and holds what is written of the commands.
type page struct {
	body                                                  bytes.Buffer
	flags, provenFlags, commands, provenCommands, refused int
}

// compatibility writes the page that names, for each command and flag, the
// scripts that prove it.
func compatibility(root *cobra.Command, scripts fs.FS, file string) error {
	set := newCommandSet(root)
	found, err := set.readProofs(scripts)
	if err != nil {
		return err
	}
	var p page
	for _, name := range slices.Sorted(maps.Keys(set.commands)) {
		cmd := set.commands[name]
		if name == "pod" || set.canonical[name] == name && !cmd.Hidden && !cmd.HasSubCommands() {
			p.command(name, cmd, found)
		}
	}
	head := fmt.Sprintf(`# Compatibility, as far as it is proven

This page is generated (`+"`make docs`"+`) from the command tree and the end-to-end scripts in `+"`test/e2e/testdata`"+`. A script is named
where it checks the *effect* of a flag, by a line `+"`%s COMMAND --flag …`"+` at its head; the generator refuses a mark that
names a flag which its script does not use. Flags of `+"`create`"+` are those of `+"`run`"+`: one description.

%d of %d commands and %d of %d flags have a script; %d flags of the peer are refused.
`, proof, p.provenCommands, p.commands, p.provenFlags, p.flags, p.refused)
	if err := os.WriteFile(file, append([]byte(head), p.body.Bytes()...), 0o644); err != nil { //nolint:gosec // pages are for all
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// command writes the section of one command.
func (p *page) command(name string, cmd *cobra.Command, found proofs) {
	p.commands++
	if len(found[name]) > 0 {
		p.provenCommands++
	}
	title, flags := "pod "+name, cmd.LocalNonPersistentFlags()
	if name == "pod" {
		title, flags = "pod (global flags)", cmd.PersistentFlags()
	}
	fmt.Fprintf(&p.body, "\n## %s\n\n%s\n", title, links(found[name]))
	var rows, refused []string
	flags.VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Hidden && f.Usage == unsupported:
			refused = append(refused, "`--"+f.Name+"`")
		case f.Hidden || f.Name == "help":
		default:
			by := found[name+" --"+f.Name]
			if name == "create" && len(by) == 0 {
				by = found["run --"+f.Name] // one description, one effect
			}
			if len(by) > 0 {
				p.provenFlags++
			}
			rows = append(rows, fmt.Sprintf("| `--%s` | %s |\n", f.Name, links(by)))
		}
	})
	p.flags += len(rows)
	p.refused += len(refused)
	if len(rows) > 0 {
		fmt.Fprintf(&p.body, "\n| flag | proven by |\n|---|---|\n%s", strings.Join(rows, ""))
	}
	if len(refused) > 0 {
		fmt.Fprintf(&p.body, "\nKnown, and refused with “not supported yet”: %s.\n", strings.Join(refused, ", "))
	}
}

// links are Markdown links to scripts.
func links(scripts []string) string {
	if len(scripts) == 0 {
		return "no script"
	}
	shown := make([]string, len(scripts))
	for i, s := range scripts {
		shown[i] = fmt.Sprintf("[%s](../test/e2e/testdata/%s.txtar)", s, s)
	}
	return strings.Join(shown, ", ")
}
