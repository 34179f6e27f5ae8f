package unitfile_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

func parse(t *testing.T, text string) *unitfile.File {
	t.Helper()
	f, err := unitfile.Parse("x.container", []byte(text))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return f
}

func texts(values []unitfile.Value) []string {
	var got []string
	for _, v := range values {
		got = append(got, v.Text)
	}
	return got
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string // of key K in section S
		line       int      // of the first
	}{
		{"one", "[S]\nK=v\n", []string{"v"}, 2},
		{"several", "[S]\nK=a\nL=x\nK=b\n", []string{"a", "b"}, 2},
		{"sections of one name", "[S]\nK=a\n[T]\nK=x\n[S]\nK=b", []string{"a", "b"}, 2},
		{"an empty assignment resets", "[S]\nK=a\nK=\nK=b\n", []string{"b"}, 4},
		{"reset at the end", "[S]\nK=a\nK=\n", nil, 0},
		{"white space", " [S] \n\tK \t = v w \t\n", []string{"v w"}, 2},
		{"comments", "#a\n[S]\n;b\n # c\nK=v # no comment\n", []string{"v # no comment"}, 5},
		{"continuation", "[S]\nK=a \\\n  b\\\nc\n", []string{"a    b c"}, 2},
		{"comments between", "[S]\nK=a\\\n# one\n; two\nb\nK=c\n", []string{"a b", "c"}, 2},
		{"an empty line ends it", "[S]\nK=a\\\n\nK=b\n", []string{"a", "b"}, 2},
		{"an escaped backslash", "[S]\nK=a\\\\\nL=b\n", []string{`a\\`}, 2},
		{"three backslashes", "[S]\nK=a\\\\\\\nb\n", []string{`a\\ b`}, 2},
		{"backslash and space", "[S]\nK=a\\ \nL=b\n", []string{`a\`}, 2},
		{"end within", "[S]\nK=a\\", []string{"a"}, 2},
		{"comment at the end within", "[S]\nK=a\\\n#c", []string{"a"}, 2},
		{"line ends", "[S]\r\nK=a\rK=b\n\rK=c", []string{"a", "b", "c"}, 2},
		{"byte order mark", "\ufeff[S]\nK=a\n", []string{"a"}, 2},
		{"more than one =", "[S]\nK=a=b\n", []string{"a=b"}, 2},
		{"case counts", "[S]\nk=a\n[s]\nK=b\n", nil, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, tc.text)
			got := f.All("S", "K")
			if !reflect.DeepEqual(texts(got), tc.want) {
				t.Errorf("All = %q, want %q", texts(got), tc.want)
			}
			if len(got) > 0 && got[0].Pos != (unitfile.Pos{File: "x.container", Line: tc.line}) {
				t.Errorf("the first stands at %s, want line %d", got[0].Pos, tc.line)
			}
			again := parse(t, f.String())
			if !reflect.DeepEqual(texts(again.All("S", "K")), tc.want) {
				t.Errorf("written: %q", f.String())
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"no =", "[S]\n\nfoo bar\n", `x.container:3: "foo bar": a section, KEY=VALUE or a comment is expected (missing '=')`},
		{"no key", "[S]\n =x\n", `x.container:2: nothing stands before '='`},
		{"no section", "K=v\n[S]\n", `x.container:1: "K" stands before the first section`},
		{"open header", "[S\n", `x.container:1: "[S": a section ends with ']'`},
		{"empty header", "[]\n", `x.container:1: the section has no name`},
		{"odd header", "[a\"b]\n", `x.container:1: "[a\"b]": a section's name has no quotes, backslashes or control characters`},
		{"zero", "[S]\nK=\x00\n", `x.container:2: a zero byte: this is not a text file`},
		{"not UTF-8", "[S]\nK=\xff\n", `x.container:2: the line is not UTF-8`},
		{"start of a long line", "[S]\nfoo \\\n bar\n", `x.container:2: "foo   bar": a section, KEY=VALUE or a comment is expected (missing '=')`},
		{"two", "[S]\nfoo\nK=v\n[\n", "x.container:2: \"foo\": a section, KEY=VALUE or a comment is expected (missing '=')\nx.container:4: \"[\": a section ends with ']'"},
		{"too large", "[S]\nK=" + strings.Repeat("x", unitfile.MaxFile), "x.container:1: the file is larger than 1048576 bytes"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := unitfile.Parse("x.container", []byte(tc.text))
			var errs unitfile.Errors
			if !errors.As(err, &errs) || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestKeeps(t *testing.T) {
	t.Parallel()
	text := "# top\n\n[Unit]\n; note\nDescription = x \n\n[Container]\nExec=a \\\n  # why\n  b\n\n\n[Install]\r\nWantedBy=default.target"
	f := parse(t, text)
	if got := f.String(); got != text+"\n" {
		t.Errorf("written:\n%s", got)
	}
	f.Rename("Container", "X-Container")
	f.Add("Unit", "After", "y.service")
	f.Prepend("Unit", "Wants", "z.service")
	f.Add("Service", "Type", "notify")
	f.Replace("X-Container", func(v unitfile.Value) (string, bool) { return v.Text + " c", v.Key == "Exec" })
	f.Comment("made by\nhand")
	want := "# made by hand\n# top\n\n[Unit]\nWants=z.service\n; note\nDescription = x \nAfter=y.service\n\n[X-Container]\nExec=a    b c\n\n\n[Install]\r\nWantedBy=default.target\n\n[Service]\nType=notify\n"
	if got := f.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	f := parse(t, "[S]\nK=a\nL=1\n")
	before := f.Clone()
	d, err := unitfile.Parse("10.conf", []byte("# from below\n[S]\nK=\nK=b\n[T]\nM=x"))
	if err != nil {
		t.Fatal(err)
	}
	f.Merge(d)
	got := f.All("S", "K")
	if len(got) != 1 || got[0].Text != "b" || got[0].Pos.String() != "10.conf:4" {
		t.Errorf("All = %v", got)
	}
	if v, ok := f.Get("T", "M"); !ok || v.Text != "x" {
		t.Errorf("T.M = %v, %v", v, ok)
	}
	if got := texts(before.All("S", "K")); !reflect.DeepEqual(got, []string{"a"}) {
		t.Errorf("the clone was changed: %v", got)
	}
	f.Set("S", "L", "2")
	f.Unset("T", "M")
	if want := "# from below\n[S]\nK=a\nK=\nK=b\nL=2\n\n[T]\n"; f.String() != want {
		t.Errorf("written:\n%q", f.String())
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text     string
		escapes  unitfile.Escapes
		want     []string
		balanced bool
	}{
		{"", unitfile.Unescape, nil, true},
		{"a  b\tc", unitfile.Unescape, []string{"a", "b", "c"}, true},
		{`"a b" 'c d' e`, unitfile.Unescape, []string{"a b", "c d", "e"}, true},
		{`a"b c"d`, unitfile.Unescape, []string{"ab cd"}, true},
		{`"" ''`, unitfile.Unescape, []string{"", ""}, true},
		{`"a'b" 'c"d'`, unitfile.Unescape, []string{"a'b", `c"d`}, true},
		{`a\x20b \101 \u00e9 \U0001F600 \s\n`, unitfile.Unescape, []string{"a b", "A", "é", "😀", " \n"}, true},
		{`\\ \" \'`, unitfile.Unescape, []string{`\`, `"`, `'`}, true},
		{`\d+ \x0 \x00 \777 \uD800 \U00110000 \é`, unitfile.Unescape, []string{`\d+`, `\x0`, `\x00`, `\777`, `\uD800`, `\U00110000`, `\é`}, true},
		{`"\d \"x"`, unitfile.Unescape, []string{`\d "x`}, true},
		{`a\`, unitfile.Unescape, []string{`a\`}, true},
		{`a\ b`, unitfile.Unescape, []string{`a\ b`}, true},
		{`\xff`, unitfile.Unescape, []string{"\xff"}, true},
		{`"a b`, unitfile.Unescape, []string{"a b"}, false},
		{`x it's`, unitfile.Unescape, []string{"x", "its"}, false},
		{`a\x20b "c\n"`, unitfile.Keep, []string{`a\x20b`, `c\n`}, true},
		{`\"a b"`, unitfile.Keep, []string{`\a b`}, true},
	}
	for _, tc := range tests {
		t.Run(tc.text, func(t *testing.T) {
			t.Parallel()
			got, balanced := unitfile.Words(tc.text, tc.escapes)
			if !reflect.DeepEqual(got, tc.want) || balanced != tc.balanced {
				t.Errorf("Words = %q, %v, want %q, %v", got, balanced, tc.want, tc.balanced)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	tests := []struct{ word, want string }{
		{"a", "a"},
		{"", `""`},
		{"a b", `"a b"`},
		{";", `";"`},
		{"a;b", "a;b"},
		{`a"b`, `"a\"b"`},
		{`it's`, `"it's"`},
		{`a\d`, `"a\\d"`},
		{"a\nb\x01", `"a\nb\x01"`},
		{"\xff", `"\xff"`},
		{"$HOME/%n", "$HOME/%n"},
		{"ü", "ü"},
	}
	for _, tc := range tests {
		if got := unitfile.Quote(tc.word); got != tc.want {
			t.Errorf("Quote(%q) = %s, want %s", tc.word, got, tc.want)
		}
		if back, ok := unitfile.Words(unitfile.Quote(tc.word), unitfile.Unescape); !ok || len(back) != 1 || back[0] != tc.word {
			t.Errorf("Words(Quote(%q)) = %q", tc.word, back)
		}
	}
}

func TestSmall(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{`"a b"`: "a b", `"a" "b"`: `"a" "b"`, `"`: `"`, `a"`: `a"`, "": ""} {
		if got := unitfile.Unwrap(text); got != want {
			t.Errorf("Unwrap(%s) = %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string][2]bool{"yes": {true, true}, "ON": {true, true}, "0": {false, true}, "f": {false, true}, "maybe": {}, "": {}} {
		if v, ok := unitfile.Bool(text); [2]bool{v, ok} != want {
			t.Errorf("Bool(%q) = %v, %v", text, v, ok)
		}
	}
}
