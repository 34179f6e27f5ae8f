package attach

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseDetachKeys(t *testing.T) {
	for _, c := range []struct {
		keys string
		want []byte
		bad  string
	}{
		{"", nil, ""},
		{DefaultDetachKeys, []byte{16, 17}, ""},
		{"a", []byte("a"), ""},
		{"a,b,C", []byte("abC"), ""},
		{"ctrl-a,ctrl-z", []byte{1, 26}, ""},
		{"CTRL-A", []byte{1}, ""},
		{"ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", []byte{0, 27, 28, 29, 30, 31}, ""},
		{"ctrl-", nil, `"ctrl-"`},
		{"ctrl-1", nil, `"ctrl-1"`},
		{"ctrl-p,,ctrl-q", nil, `""`},
		{"ctrl-ab", nil, `"ctrl-ab"`},
		{"é", nil, `"é"`},
		{"shift-a", nil, `"shift-a"`},
	} {
		got, err := ParseDetachKeys(c.keys)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), "unknown key "+c.bad) {
				t.Errorf("ParseDetachKeys(%q): error %v, want one that names %s", c.keys, err, c.bad)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("ParseDetachKeys(%q) = %v, %v, want %v", c.keys, got, err, c.want)
		}
	}
}

func TestDetacher(t *testing.T) {
	for _, c := range []struct {
		name, keys string
		reads      []string
		out        string
		detach     bool
	}{
		{"plain text passes", "\x10\x11", []string{"hello", " world"}, "hello world", false},
		{"in one read", "\x10\x11", []string{"ab\x10\x11cd"}, "ab", true},
		{"across reads", "\x10\x11", []string{"ab\x10", "\x11cd"}, "ab", true},
		{"first key alone is held", "\x10\x11", []string{"ab\x10"}, "ab", false},
		{"held key goes out with the next", "\x10\x11", []string{"\x10", "x"}, "\x10x", false},
		{"twice the first key", "\x10\x11", []string{"\x10", "\x10", "\x11"}, "\x10", true},
		{"second key alone", "\x10\x11", []string{"\x11\x10"}, "\x11", false},
		{"single key", "q", []string{"abq"}, "ab", true},
		{"overlap of its own", "aab", []string{"aaab"}, "a", true},
		{"overlap across reads", "aab", []string{"a", "a", "a", "a", "b"}, "aa", true},
		{"overlap that fails", "abab!", []string{"ababab!"}, "ab", true},
		{"overlap, other byte", "aab", []string{"aac"}, "aac", false},
		{"empty read", "\x10\x11", []string{"", "\x10", "", "\x11"}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &detacher{keys: []byte(c.keys)}
			var out []byte
			detached := false
			for _, r := range c.reads {
				var part []byte
				part, detached = d.feed([]byte(r))
				out = append(out, part...)
				if detached {
					break
				}
			}
			if string(out) != c.out || detached != c.detach {
				t.Errorf("got %q, %v, want %q, %v", out, detached, c.out, c.detach)
			}
		})
	}
}

// FuzzDetacher checks against a search in the whole input that nothing is lost
// or reordered, however the input is cut.
func FuzzDetacher(f *testing.F) {
	f.Add([]byte("aab"), []byte("xaaaby"), uint8(2))
	f.Add([]byte{16, 17}, []byte{16, 16, 17, 65}, uint8(1))
	f.Fuzz(func(t *testing.T, keys, input []byte, cut uint8) {
		if len(keys) == 0 || len(keys) > 8 {
			return
		}
		d := &detacher{keys: keys}
		var out []byte
		detached := false
		step := int(cut%16) + 1
		for rest := input; len(rest) > 0 && !detached; {
			n := min(step, len(rest))
			var part []byte
			part, detached = d.feed(rest[:n])
			out = append(out, part...)
			rest = rest[n:]
		}
		at := bytes.Index(input, keys)
		if detached != (at >= 0) {
			t.Fatalf("detached %v, sequence at %d", detached, at)
		}
		want := input
		if at >= 0 {
			want = input[:at]
		} else {
			out = append(out, keys[:d.matched]...)
		}
		if !bytes.Equal(out, want) {
			t.Fatalf("passed %q, want %q", out, want)
		}
	})
}
