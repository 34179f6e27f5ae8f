package logs

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/internal/journal"
)

// TestRealJournal writes as conmon does to the machine's journal and reads it
// back. TEST_HOST_UID is the uid outside of a user namespace.
func TestRealJournal(t *testing.T) {
	uid := os.Getuid()
	if n, err := strconv.Atoi(os.Getenv("TEST_HOST_UID")); err == nil {
		uid = n
	}
	if !journal.Usable("/", uid) {
		t.Skip("no journal that this user can write and read")
	}
	id := strings.ToLower(rand.Text())
	var wantOut, wantErr strings.Builder
	send := func(priority, partial, message string) {
		fields := []journal.Field{{Name: "MESSAGE", Value: message}, {Name: "PRIORITY", Value: priority}, {Name: fieldID, Value: id}}
		if partial != "" {
			fields = append(fields, journal.Field{Name: fieldPartial, Value: partial})
		}
		if err := journal.Send(journal.Socket, fields); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		send("6", "", fmt.Sprint("line ", i))
		fmt.Fprintln(&wantOut, "line", i)
	}
	piece := strings.Repeat("x", 8000)
	for range 130 {
		send("6", "true", piece)
		wantOut.WriteString(piece)
	}
	send("3", "", "bad\x00\xff")
	wantErr.WriteString("bad\x00\xff\n")
	send("6", "", "")
	wantOut.WriteString("\n")

	ended := make(chan struct{})
	close(ended)
	src := Source{Driver: "journald", ID: id, HostUID: uid}
	for _, tt := range []struct {
		name      string
		o         Options
		out, errs string
	}{
		{"follow to the end", Options{Tail: -1, Follow: true, Ended: ended}, wantOut.String(), wantErr.String()},
		{"all", Options{Tail: -1}, wantOut.String(), wantErr.String()},
		{"tail", Options{Tail: 2}, strings.Repeat(piece, 130) + "\n", wantErr.String()},
		{"tail and follow", Options{Tail: 3, Follow: true, Ended: ended}, "line 99\n" + strings.Repeat(piece, 130) + "\n", wantErr.String()},
		{"from now", Options{Tail: 0, Follow: true, Ended: ended}, "", ""},
	} {
		var out, errs bytes.Buffer
		p := Printer{Out: &out, Err: &errs}
		if err := errors.Join(Read(t.Context(), src, tt.o, p.Print), p.Flush()); err != nil {
			t.Fatal(err)
		}
		if out.String() != tt.out || errs.String() != tt.errs {
			t.Errorf("%s: %d and %d bytes instead of %d and %d", tt.name, out.Len(), errs.Len(), len(tt.out), len(tt.errs))
		}
	}
}
