package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/quadlet"
)

// quadletPage writes the reference of the keys of Quadlet files, from the table that
// the generators use.
func quadletPage(dir string) error {
	var b strings.Builder
	b.WriteString(`# Quadlet files

systemd asks pod's generators (` + "`pod-user-generator`, `pod-system-generator`" + `) for the services of these files. ` +
		"`pod-user-generator --dryrun`" + ` prints
them, with what is wrong, by file and line. ` + "[Unit], [Service] and [Install]" + ` are systemd's, but that ` + "`[Unit]`" + ` may name Quadlet files where it names
units; ` + "`[Quadlet] DefaultDependencies=false`" + ` keeps a service from waiting for the network. A file has the keys below in a section of its own.

A key that comes several times has several values; an empty one takes those before it away. Where only one counts, it is the last.
"Words" are separated by white space unless they are quoted. ` + "`%i`, `%n`" + ` and systemd's other specifiers may stand in values.

| files of users, the first of a name counts | files of the system |
|---|---|
`)
	user := []string{"$XDG_RUNTIME_DIR/containers/systemd", "$XDG_CONFIG_HOME/containers/systemd", "/etc/containers/systemd/users", "/etc/containers/systemd/users/$UID", "/usr/share/containers/systemd/users", "/usr/share/containers/systemd/users/$UID"}
	system := []string{"/run/containers/systemd", "/etc/containers/systemd", "/usr/share/containers/systemd", "", "", ""}
	for i := range user {
		fmt.Fprintf(&b, "| `%s` | %s |\n", user[i], code(system[i]))
	}
	b.WriteString("\nDirectories below these are searched too; `QUADLET_UNIT_DIRS` (with colons) names others instead. Drop-ins of `a-b@c.container` are\n" +
		"`*.conf` in `a-b@c.container.d`, `a-b@.container.d`, `a-.container.d` and `container.d` of all these directories.\n")
	for _, ref := range quadlet.References() {
		fmt.Fprintf(&b, "\n## %s\n\nSection `[%s]`, service `%s`, command `pod %s`.", ref.Ext, ref.Section, ref.Service, ref.Command)
		if len(ref.Required) > 0 {
			fmt.Fprintf(&b, " Needed: %s.", strings.Join(ref.Required, "; "))
		}
		if ref.Ext == ".kube" {
			b.WriteString(" Not supported yet: the keys are known, but the file makes no service.")
		}
		b.WriteString("\n\n| key | option | value |\n|---|---|---|\n")
		keys := slices.Clone(ref.Keys)
		slices.SortFunc(keys, func(a, b quadlet.Key) int { return strings.Compare(a.Name, b.Name) })
		for _, k := range keys {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, code(strings.TrimSpace(k.Flag+" "+k.Prefix)), meaning(k))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "quadlet.md"), []byte(b.String()), 0o644); err != nil { //nolint:gosec // pages are for all
		return fmt.Errorf("write the page of Quadlet files: %w", err)
	}
	return nil
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// meaning says what a key's values are.
func meaning(k quadlet.Key) string {
	var parts []string
	switch k.How {
	case quadlet.Lines:
		parts = append(parts, "each line one")
	case quadlet.Words:
		parts = append(parts, "each word one")
	case quadlet.Args:
		parts = append(parts, "each word one; backslashes as in C")
	case quadlet.Pairs:
		parts = append(parts, "words `NAME=VALUE`; backslashes as in C")
	case quadlet.Bool, quadlet.Switch:
		parts = append(parts, "true or false")
	case quadlet.Elsewhere, quadlet.Special, quadlet.Once:
	}
	switch k.Type {
	case quadlet.Number, quadlet.Count:
		parts = append(parts, "a number")
	case quadlet.Duration:
		parts = append(parts, "a duration, as `30s`")
	case quadlet.Text:
	}
	if len(k.Values) > 0 {
		parts = append(parts, strings.Join(k.Values, ", "))
	}
	if k.Doc != "" {
		parts = append(parts, k.Doc)
	}
	if k.Deprecated {
		parts = append(parts, "deprecated")
	}
	return strings.ReplaceAll(strings.Join(parts, "; "), "|", `\|`)
}
