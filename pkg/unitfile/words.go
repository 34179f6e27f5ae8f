package unitfile

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Escapes says what a backslash does in the words of a value.
type Escapes bool

// A key's documentation says which of the two its words have.
const (
	Keep     Escapes = false // a backslash is a character like others
	Unescape Escapes = true  // it begins one of C's escapes; before others it stays
)

// Words splits a value as systemd does: at white space, but not in quotes, which may
// begin anywhere in a word and are removed. Words of a value whose last quote is open
// end with it; balanced is false then.
func Words(text string, escapes Escapes) (words []string, balanced bool) {
	for {
		text = strings.TrimLeft(text, space)
		if text == "" {
			return words, true
		}
		var word string
		word, text, balanced = cutWord(text, escapes)
		words = append(words, word)
		if !balanced {
			return words, false
		}
	}
}

// cutWord takes one word from text, which does not begin with space.
func cutWord(text string, escapes Escapes) (word, rest string, balanced bool) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && escapes == Unescape:
			if i+1 == len(text) {
				b.WriteByte(c) // nothing is escaped by it
				continue
			}
			n, ok := unescape(&b, text[i+1:])
			if !ok {
				b.WriteString(text[i : i+1+n])
			}
			i += n
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote = c
		case strings.IndexByte(space, c) >= 0:
			return b.String(), text[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", quote == 0
}

// simple are the escapes of one letter.
const simple, simpleFor = `abfnrtvs\"'`, "\a\b\f\n\r\t\v \\\"'"

// unescape writes what the escape means whose letters s begins with, and says how
// many they are. If it is none of C's, nothing is written and ok is false; n is then
// the one character that is kept behind the backslash.
func unescape(b *strings.Builder, s string) (n int, ok bool) {
	if i := strings.IndexByte(simple, s[0]); i >= 0 {
		b.WriteByte(simpleFor[i])
		return 1, true
	}
	_, one := utf8.DecodeRuneInString(s)
	base, digits, from := 16, 0, 1
	switch c := s[0]; {
	case c == 'x':
		digits = 2
	case c == 'u':
		digits = 4
	case c == 'U':
		digits = 8
	case c >= '0' && c <= '7':
		base, digits, from = 8, 3, 0
	default:
		return one, false
	}
	code, ok := number(s, from, digits, base)
	if !ok || code == 0 {
		return one, false
	}
	if s[0] == 'u' || s[0] == 'U' {
		if code > utf8.MaxRune || !utf8.ValidRune(rune(code)) {
			return one, false
		}
		b.WriteRune(rune(code))
	} else {
		if code > 0xff {
			return one, false
		}
		b.WriteByte(byte(code))
	}
	return from + digits, true
}

// number reads that many digits.
func number(s string, from, digits, base int) (code int64, ok bool) {
	if len(s) < from+digits {
		return 0, false
	}
	for _, c := range []byte(s[from : from+digits]) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if c >= '0' && c <= '9' {
			d = int(c - '0')
		}
		if d < 0 || d >= base {
			return 0, false
		}
		code = code*int64(base) + int64(d)
	}
	return code, true
}

// Quote writes a word so that systemd reads it back: as it is if that serves, else
// in double quotes. Specifiers (%n) and variables ($NAME) stay what they are.
func Quote(word string) string {
	if !needsQuotes(word) {
		return word
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(word); {
		r, n := utf8.DecodeRuneInString(word[i:])
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f || r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, word[i])
		default:
			b.WriteString(word[i : i+n])
		}
		i += n
	}
	b.WriteByte('"')
	return b.String()
}

// needsQuotes says whether a word does not stand for itself. A lone semicolon would
// separate two commands.
func needsQuotes(word string) bool {
	return word == "" || word == ";" || !utf8.ValidString(word) ||
		strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' || r == '\'' || r == '\\' })
}

// Join writes words so that Words (with Unescape) gives them back.
func Join(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

// Unwrap removes quotes around a whole value: people write Description="web".
func Unwrap(text string) string {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' || strings.Contains(text[1:len(text)-1], `"`) {
		return text
	}
	return text[1 : len(text)-1]
}

// Bool reads a boolean as systemd does.
func Bool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "1", "yes", "y", "true", "t", "on":
		return true, true
	case "0", "no", "n", "false", "f", "off":
		return false, true
	}
	return false, false
}
