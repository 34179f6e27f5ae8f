package output

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

type inner struct {
	Arch string `json:"arch"`
}

type row struct {
	ID         string `json:"Id"`
	Names      []string
	RawSize    int64
	Labels     map[string]string
	Host       inner `json:"host"`
	RunningFor string
	secret     string
}

// Size is a column that is computed.
func (r row) Size() string { return Size(r.RawSize) }

func rows() []row {
	return []row{
		{ID: "0123456789abcdef", Names: []string{"one", "uno"}, RawSize: 7_500_000, Labels: map[string]string{"a": "<b>"}, Host: inner{"amd64"}},
		{ID: "fedc", Names: []string{"two"}, RawSize: 12, secret: "x"},
	}
}

func TestList(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		none bool
		want string
		err  string
	}{
		{
			name: "default table", o: Options{DefaultTable: "{{.ID}}\t{{join .Names \",\"}}\t{{.Size}}"},
			want: "ID                NAMES       SIZE\n0123456789abcdef  one,uno     7.5 MB\nfedc              two         12 B\n",
		},
		{name: "default table by its name", o: Options{Format: "table", DefaultTable: "{{.ID}}"}, want: "ID\n0123456789abcdef\nfedc\n"},
		{name: "no heading", o: Options{DefaultTable: "{{.ID}}", NoHeading: true}, want: "0123456789abcdef\nfedc\n"},
		{
			name: "heading of words and override", o: Options{DefaultTable: "{{.RunningFor}}\t{{.ID}}", Headers: map[string]string{"ID": "container id"}}, none: true,
			want: "RUNNING FOR  CONTAINER ID\n",
		},
		{name: "two fields in a column", o: Options{Format: `table {{.Host.Arch}}:{{.ID}}`}, none: true, want: "ARCH:ID\n"},
		{name: "empty list keeps the heading", o: Options{DefaultTable: "{{.ID}}"}, none: true, want: "ID\n"},
		{
			name: "user table with escaped tab", o: Options{Format: `table {{.ID}}\t{{.Size}}`},
			want: "ID                SIZE\n0123456789abcdef  7.5 MB\nfedc              12 B\n",
		},
		{
			name: "user table with spaces, also in an action", o: Options{Format: `table {{ .Size }} {{ printf "%s x" .ID }}`},
			want: "SIZE        ID\n7.5 MB      0123456789abcdef x\n12 B        fedc x\n",
		},
		{name: "quiet", o: Options{Quiet: true, DefaultTable: "{{.Size}}"}, want: "0123456789abcdef\nfedc\n"},
		{name: "quiet of another column", o: Options{Quiet: true, QuietTemplate: "{{truncate .ID 4}}"}, want: "0123\nfedc\n"},
		{name: "quiet and nothing", o: Options{Quiet: true}, none: true, want: ""},
		{name: "template per row", o: Options{Format: `{{.ID}}\t{{upper (index .Names 0)}}`}, want: "0123456789abcdef\tONE\nfedc\tTWO\n"},
		{name: "template that ends its line", o: Options{Format: `{{.ID}}\n`}, want: "0123456789abcdef\nfedc\n"},
		{name: "own range", o: Options{Format: `{{range .}}{{.ID}},{{end}}`}, want: "0123456789abcdef,fedc,\n"},
		{name: "escape inside of an action", o: Options{Format: `{{join .Names "\t}}"}}`}, want: "one\t}}uno\ntwo\n"},
		{
			name: "functions", o: Options{Format: `{{title "ab cd"}} {{lower "AB"}} {{pad "x" 1 2}}| {{index (split "a,b" ",") 1}} {{println "p"}}`}, none: false,
			want: strings.Repeat("Ab Cd ab  x  | b p\n\n", 2),
		},
		{name: "json of a field", o: Options{Format: `{{json .Labels}}`}, want: "{\"a\":\"<b>\"}\nnull\n"},
		{name: "json key and other case name the field", o: Options{Format: `{{.Id}} {{.host.arch}}`}, want: "0123456789abcdef amd64\nfedc \n"},
		{name: "json of nothing", o: Options{Format: "json"}, none: true, want: "[]\n"},
		{name: "json of a value of its own", o: Options{Format: "json", JSONValue: []string{"<a>"}}, want: "[\n    \"<a>\"\n]\n"},
		{name: "unknown field", o: Options{Format: "{{.Nope}}"}, err: `--format "{{.Nope}}": no field Nope, there are: Host, ID, Labels, Names, RawSize, RunningFor, Size`},
		{name: "unknown field without rows", o: Options{Format: "{{.Nope}}"}, none: true, err: "no field Nope"},
		{name: "unknown field in a table", o: Options{Format: "table {{.Nope}}"}, none: true, err: "no field Nope"},
		{name: "index of a missing element without rows is no error", o: Options{Format: "{{index .Names 0}}"}, none: true, want: ""},
		{name: "unexported field", o: Options{Format: "{{.secret}}"}, err: "secret"},
		{name: "broken template", o: Options{Format: "{{.ID"}, err: `--format "{{.ID": unclosed action`},
		{name: "unknown function", o: Options{Format: "{{foo .ID}}"}, err: `function "foo" not defined`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			list := rows()
			if tt.none {
				list = nil
			}
			err := List(&out, list, tt.o)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("error %v, want one line with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Fatalf("got\n%q, want\n%q", out.String(), tt.want)
			}
		})
	}
}

func TestTableKeepsTheTerminalSafe(t *testing.T) {
	var out bytes.Buffer
	evil := []row{{ID: "a\nb\x1b[2J\xff\u009b\rc"}}
	if err := List(&out, evil, Options{DefaultTable: "{{.ID}}", NoHeading: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "a b?[2J?? c\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestNothingIsPrintedOnError(t *testing.T) {
	var out bytes.Buffer
	err := List(&out, rows(), Options{Format: `{{index .Names 1}}`}) // the second row has one name
	if err == nil || out.Len() > 0 {
		t.Fatalf("error %v, output %q", err, out.String())
	}
}

type writes int

func (n *writes) Write(p []byte) (int, error) { *n++; return len(p), nil }

// A reader may be gone after the first write.
func TestTableIsOneWrite(t *testing.T) {
	for name, show := range map[string]func(*writes) error{
		"List": func(w *writes) error { return List(w, rows(), Options{DefaultTable: "{{.ID}}\t{{.Names}}"}) },
		"Rows": func(w *writes) error { return Rows(w, []string{"A", "B"}, [][]string{{"1", "2"}, {"3", "4"}}) },
	} {
		var n writes
		if err := show(&n); err != nil || n != 1 {
			t.Errorf("%s: %d writes, %v", name, n, err)
		}
	}
}

func TestValue(t *testing.T) {
	tests := []struct{ name, format, want string }{
		{"default", "", "{\n    \"arch\": \"amd64\"\n}\n"},
		{"json", "json", "{\n    \"arch\": \"amd64\"\n}\n"},
		{"json in docker's way", "{{json .}}", "{\n    \"arch\": \"amd64\"\n}\n"},
		{"template", "{{.Arch}}", "amd64\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Value(&out, inner{"amd64"}, tt.format); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Fatalf("got %q, want %q", out.String(), tt.want)
			}
		})
	}
}

func TestValues(t *testing.T) {
	var out bytes.Buffer
	if err := Values(&out, []inner{{"a"}, {"b"}}, "{{.Arch}}"); err != nil {
		t.Fatal(err)
	}
	if err := Values[inner](&out, nil, ""); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "a\nb\n[]\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestHeading(t *testing.T) {
	for in, want := range map[string]string{
		"ID": "ID", "ImageID": "IMAGE ID", "CreatedAt": "CREATED AT", "CPUPerc": "CPU PERC", "PIDs": "PIDS", "NetIO": "NET IO", "OOMKilled": "OOM KILLED",
	} {
		if got := Heading(in); got != want {
			t.Errorf("Heading(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHuman(t *testing.T) {
	for got, want := range map[string]string{
		Size(0):                               "0 B",
		Size(7_497_000):                       "7.5 MB",
		Size(1_234_567_890):                   "1.23 GB",
		SizeShort(7_497_000):                  "7.497MB",
		SizeBinary(64 << 20):                  "64MiB",
		Duration(-time.Second):                "Less than a second",
		Duration(3 * time.Second):             "3 seconds",
		Ago(time.Now().Add(-2 * time.Minute)): "2 minutes ago",
		Ago(time.Time{}):                      "N/A",
		ShortID("sha256:0123456789abcdef"):    "0123456789ab",
		ShortID("0123"):                       "0123",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
