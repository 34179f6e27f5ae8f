package unitfile_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// every is all assignments of a file, by section and in order, without positions.
func every(f *unitfile.File) (all []string) {
	seen := map[string]bool{}
	for _, s := range f.Sections() {
		if seen[s.Key] {
			continue
		}
		seen[s.Key] = true
		all = append(all, "["+s.Key+"]")
		for _, v := range f.Assignments(s.Key) {
			all = append(all, v.Key+"="+v.Text)
		}
	}
	return all
}

// FuzzParse: what was read is written so that it is read the same, as it stood and
// made anew; drop-ins add to it and change nothing that was there.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "[S]\nK=v\n", "#c\n\n[S]\nK=a \\\n # c\n b\n[T]\r\nL=\"x y\" 'z'\n", "[S]\nK=a\\ \nL=b", "[S]\nK=a\\", "\ufeff[S]\nK=\\\n\n",
		"[S]\nK=a\\\n#c", "[S]\nfoo", "K=v", "[S", "[S]\n=", "[S]\r\rK=a\n\rK=\n", "[ S ]\n[=]\nK = = \n", "[S]\nK\\\n=a\n", "[a\\\nb]\n",
		"[S]\nK=\x00", "[S]\nK=\xff", "[Container]\nImage=localhost/x\nExec=sh -c 'echo \"a\\tb\"' \\\n  ;\n[Install]\nWantedBy=default.target\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := unitfile.Parse("f", []byte(text))
		if err != nil {
			return
		}
		written := file.String()
		again, err := unitfile.Parse("f", []byte(written))
		if err != nil {
			t.Fatalf("%q written as %q: %v", text, written, err)
		}
		if want := every(file); !reflect.DeepEqual(every(again), want) {
			t.Fatalf("%q written as %q: %q, want %q", text, written, every(again), want)
		}
		if again.String() != written {
			t.Fatalf("%q written as %q, then as %q", text, written, again.String())
		}
		made := unitfile.New("f")
		for _, s := range file.Sections() {
			made.Add(s.Key, "First", "x")
		}
		made.Merge(file)
		for _, s := range file.Sections() {
			made.Replace(s.Key, func(v unitfile.Value) (string, bool) { return v.Text, true })
			made.Add(s.Key, "Last", "x")
			first := 0
			for _, v := range made.Assignments(s.Key) {
				if v.Key != "First" || v.Pos.Line > 0 {
					break
				}
				first++
			}
			if first == 0 {
				t.Fatalf("%q: the first assignment of %q is gone", text, s.Key)
			}
		}
		again, err = unitfile.Parse("f", []byte(made.String()))
		if err != nil || !reflect.DeepEqual(every(again), every(made)) {
			t.Fatalf("%q made anew as %q: %v\n%q\n%q", text, made.String(), err, every(made), every(again))
		}
	})
}

// FuzzWords: words that were split and joined are the same words, on one line.
func FuzzWords(f *testing.F) {
	for _, seed := range []string{
		"", "a b", `"a b" c'd e'f`, `\x41\u00e9\U0001F600\101\s\n`, `\x0 \d \`, `"a`, `''""`, ";", "\xff\\xff", `a\ b`, "\x7f\u2028", `\"`, `"\`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(text, "\x00", "0") // no file has it
		for _, escapes := range []unitfile.Escapes{unitfile.Keep, unitfile.Unescape} {
			words, _ := unitfile.Words(text, escapes)
			joined := unitfile.Join(words...)
			if strings.ContainsAny(joined, "\n\r") && !strings.ContainsAny(text, "\v\f\u0085\u00a0") {
				t.Fatalf("%q joined over lines: %q", text, joined)
			}
			again, balanced := unitfile.Words(joined, unitfile.Unescape)
			if !balanced || len(again) != len(words) || len(words) > 0 && !reflect.DeepEqual(again, words) {
				t.Fatalf("%q: %q joined as %q, split as %q", text, words, joined, again)
			}
		}
	})
}
