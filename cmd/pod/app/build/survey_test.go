package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// endless is an archive of empty files without end.
func endless() io.Reader {
	var one bytes.Buffer
	w := tar.NewWriter(&one)
	if err := w.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg}); err != nil {
		panic(err)
	}
	return repeated(one.Bytes())
}

type repeated []byte

func (r repeated) Read(p []byte) (int, error) { return copy(p, r), nil }

func TestSurveyEnds(t *testing.T) {
	if err := func() error { f := survey(endless(), 1000); return f.bounded() }(); err == nil || !strings.Contains(err.Error(), "more than 1000 members") {
		t.Errorf("an archive without end: %v", err)
	}
}

func TestSurvey(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	long := strings.Repeat("n", 200)
	err := errors.Join(
		w.WriteHeader(&tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 3}), write(w, "abc"),
		w.WriteHeader(&tar.Header{Name: "l", Linkname: long, Typeflag: tar.TypeSymlink}),
		w.WriteHeader(&tar.Header{Name: "d/", Typeflag: tar.TypeDir, PAXRecords: map[string]string{"SCHILY.xattr.user.x": long}}),
		w.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	f := survey(bytes.NewReader(archive.Bytes()), 9)
	if f.members != 3 || f.size != 3 || f.names < 400 {
		t.Errorf("%+v", f)
	}
	// What is broken is said by whoever unpacks it.
	cut := survey(bytes.NewReader(archive.Bytes()[:1000]), 9)
	if cut.members != 1 || cut.bounded() != nil {
		t.Errorf("%+v", cut)
	}
}

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

func TestFit(t *testing.T) {
	f := found{most: 20, members: 10, size: 1000}
	for name, c := range map[string]struct {
		room, inodes, free uint64
		want               string
	}{
		"fits":            {room: 1000, inodes: 100, free: 10},
		"no inodes known": {room: 1000},
		"too big":         {room: 999, inodes: 100, free: 100, want: "it unpacks to 1000B, and the directory for temporary files has 999B free"},
		"too many":        {room: 1000, inodes: 100, free: 9, want: "it has 10 members, and the directory for temporary files has 9 inodes free"},
	} {
		err := f.fit(c.room, c.inodes, c.free)
		if got := ""; err != nil {
			if got = err.Error(); c.want == "" || !strings.Contains(got, c.want) || !strings.Contains(got, "TMPDIR") {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		} else if c.want != "" {
			t.Errorf("%s: no error, want %q", name, c.want)
		}
	}
	if err := (&found{names: maxNames + 1}).bounded(); err == nil {
		t.Error("names without end are taken")
	}
}
