package verify

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func archiveOf(t *testing.T, headers ...tar.Header) map[string]entry {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := h.Linkname
		if h.Typeflag == tar.TypeReg {
			h.Linkname, h.Size = "", int64(len(body))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := list(&b)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestCompareEntries(t *testing.T) {
	at := time.Unix(1000, 0)
	file := tar.Header{Typeflag: tar.TypeReg, Name: "a", Linkname: "text", Mode: 0o644, ModTime: at}
	other := tar.Header{Typeflag: tar.TypeReg, Name: "./b", Mode: 0o600, ModTime: at}
	with := func(change func(*tar.Header)) tar.Header {
		h := file
		change(&h)
		return h
	}
	tests := map[string]struct {
		a, b []tar.Header
		want string
	}{
		"the same": {[]tar.Header{file, other}, []tar.Header{file, other}, "[]"},
		"order":    {[]tar.Header{file, other}, []tar.Header{other, file}, "[{/ [order of the archive]}]"},
		"content":  {[]tar.Header{file}, []tar.Header{with(func(h *tar.Header) { h.Linkname = "Text" })}, "[{/a [content]}]"},
		"time":     {[]tar.Header{file}, []tar.Header{with(func(h *tar.Header) { h.ModTime = at.Add(time.Second) })}, "[{/a [mtime]}]"},
		"parts of a second": {
			[]tar.Header{file},
			[]tar.Header{with(func(h *tar.Header) { h.ModTime, h.Format = at.Add(time.Millisecond), tar.FormatPAX })},
			"[{/a [mtime]}]",
		},
		"mode, owner": {[]tar.Header{file}, []tar.Header{with(func(h *tar.Header) { h.Mode, h.Gid = 0o600, 1 })}, "[{/a [mode owner]}]"},
		"attributes": {
			[]tar.Header{file},
			[]tar.Header{with(func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr.user.x": "1"} })},
			"[{/a [attributes]}]",
		},
		"kind": {[]tar.Header{file}, []tar.Header{{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "x", Mode: 0o644, ModTime: at}}, "[{/a [kind content link]}]"},
		"one":  {[]tar.Header{file}, []tar.Header{other}, "[{/a [only in the first build]} {/b [only in the second build]}]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(compareEntries(archiveOf(t, tt.a...), archiveOf(t, tt.b...))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestCompareFields(t *testing.T) {
	read := func(s string) (m map[string]any) {
		if err := json.Unmarshal([]byte(s), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	a := read(`{"created":"1","config":{"Env":["A=1","B=2"],"Cmd":["x"]},"rootfs":{"diff_ids":["a"]},"os":"linux"}`)
	b := read(`{"created":"2","config":{"Env":["A=1","B=3","C"],"User":"0"},"rootfs":{"diff_ids":["b"]},"os":"linux"}`)
	got := compareFields(a, b)
	want := `[{config.Cmd ["x"] none} {config.Env[1] B=2 B=3} {config.Env[2] none C} {config.User none 0} {created 1 2}]`
	if fmt.Sprint(got) != want {
		t.Errorf("got %v", got)
	}
}

func TestText(t *testing.T) {
	r := &Report{
		First: "sha256:a", Second: "sha256:b",
		Layers: []Layer{{Layer: 2, Step: "RUN make", Files: []File{{"/o", []string{content, mtime}}, {"/p", []string{mtime}}}}},
		Config: []Field{{"created", "1", "2"}},
	}
	r.remedy()
	want := `the builds differ: sha256:a and sha256:b
layer 2, of RUN make
  /o: content, mtime
  /p: mtime
configuration
  created: 1, then 2
remedy: --source-date-epoch SECONDS sets the times of the configuration and of its history
remedy: make the step repeatable that writes /o: RUN make
remedy: --rewrite-timestamp, with --source-date-epoch, sets the times of files
`
	if got := r.Text(); got != want {
		t.Errorf("got:\n%s", got)
	}
	if got := (&Report{First: "sha256:a", Same: true}).Text(); !strings.HasPrefix(got, "verified: ") {
		t.Errorf("got %q", got)
	}
}
