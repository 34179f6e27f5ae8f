package unitgen

import (
	"strings"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// word writes an argument of a command so that systemd reads it as it is
// (systemd.syntax(7), systemd.service(5)): % begins a specifier, $ a variable.
func word(s string) string { return quoted(strings.ReplaceAll(s, "$", "$$")) }

// quoted is word for where there are no variables.
func quoted(s string) string { return unitfile.Quote(strings.ReplaceAll(s, "%", "%%")) }

// command writes a command, each option on a line of its own. Its words are
// written already, but for the program, in whose path $ means itself.
func command(program string, words []string) string {
	var b strings.Builder
	b.WriteString(quoted(program))
	for _, w := range words {
		if len(w) > 1 && w[0] == '-' {
			b.WriteString(" \\\n\t")
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}

// words writes arguments.
func words(args []string) []string {
	written := make([]string, len(args))
	for i, arg := range args {
		written[i] = word(arg)
	}
	return written
}
