package unitgen

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// bare are the characters that mean themselves in a word of a unit, besides letters
// and digits. A word that begins with one of the others, or is nothing, is quoted.
const bare = `-_./:=,@+~^`

// word writes an argument of a command so that systemd reads it as it is
// (systemd.syntax(7), systemd.service(5)): % begins a specifier, $ a variable.
func word(s string) string { return quoted(strings.ReplaceAll(s, "$", "$$")) }

// quoted is word for where there are no variables.
func quoted(s string) string {
	s = strings.ReplaceAll(s, "%", "%%")
	plain := s != ""
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			plain = false
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '"' || r == '\\':
			plain = false
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			plain = false
			b.WriteString(`\n`)
		case r == '\t':
			plain = false
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			plain = false
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			plain = plain && (r > 0x7f || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(bare+"%$", r))
			b.WriteRune(r)
		}
		s = s[size:]
	}
	if plain {
		return b.String()
	}
	return `"` + b.String() + `"`
}

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
