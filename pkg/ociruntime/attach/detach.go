package attach

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// DefaultDetachKeys are those of docker and podman.
const DefaultDetachKeys = "ctrl-p,ctrl-q"

// ErrDetached is for callers that must tell a detachment as an error.
var ErrDetached = errors.New("detached from container")

// ParseDetachKeys turns KEY[,KEY…] into the bytes a terminal sends for it. A key
// is one ASCII character or ctrl-X, X one of a-z @ [ \ ] ^ _. Empty gives none.
func ParseDetachKeys(keys string) ([]byte, error) {
	if keys == "" {
		return nil, nil
	}
	var seq []byte
	for key := range strings.SplitSeq(keys, ",") {
		code, ok := keyCode(key)
		if !ok {
			return nil, fmt.Errorf("detach keys %q: unknown key %q: use a character or ctrl-X, separated by commas", keys, key)
		}
		seq = append(seq, code)
	}
	return seq, nil
}

// keyCode is the byte a terminal sends for one key.
func keyCode(key string) (byte, bool) {
	if len(key) == 1 && key[0] < 0x80 {
		return key[0], true
	}
	rest, ok := strings.CutPrefix(strings.ToLower(key), "ctrl-")
	if !ok || len(rest) != 1 {
		return 0, false
	}
	switch c := rest[0]; {
	case c >= 'a' && c <= 'z':
		return c - 'a' + 1, true
	case c == '@':
		return 0, true
	case c >= '[' && c <= '_':
		return c - '[' + 27, true
	}
	return 0, false
}

// detacher finds the detach keys in a stream and holds back what may be their
// beginning.
type detacher struct {
	keys    []byte
	matched int // how many of keys were seen and held back
	out     []byte
}

// feed takes what was typed and returns what goes to the container, valid until
// the next call, and whether the sequence was completed; what came after it is
// dropped.
func (d *detacher) feed(data []byte) (out []byte, detach bool) {
	if d.matched == 0 && bytes.IndexByte(data, d.keys[0]) < 0 {
		return data, false
	}
	d.out = d.out[:0]
	for _, c := range data {
		for d.matched > 0 && d.keys[d.matched] != c {
			d.fallBack()
		}
		if d.keys[d.matched] != c {
			d.out = append(d.out, c)
			continue
		}
		d.matched++
		if d.matched == len(d.keys) {
			d.matched = 0
			return d.out, true
		}
	}
	return d.out, false
}

// fallBack gives up the oldest keys held back, up to the next place at which the
// sequence could have begun: of a,a,b typed as a,a,a,b the first a goes out.
func (d *detacher) fallBack() {
	held := d.keys[:d.matched]
	for skip := 1; ; skip++ {
		if bytes.HasPrefix(d.keys, held[skip:]) {
			d.out = append(d.out, held[:skip]...)
			d.matched -= skip
			return
		}
	}
}
