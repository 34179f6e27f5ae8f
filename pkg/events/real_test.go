package events

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rootless-pod/pod/internal/journal"
)

// hostUID is the test's uid outside of a user namespace, as pod's entry knows
// it; TEST_HOST_UID tells it when the test runs inside of one.
func hostUID() int {
	if uid, err := strconv.Atoi(os.Getenv("TEST_HOST_UID")); err == nil {
		return uid
	}
	return os.Getuid()
}

// TestRealJournal writes to the machine's journal and reads it back.
func TestRealJournal(t *testing.T) {
	if !journal.Usable("/", hostUID()) {
		t.Skip("no journal that this user can write and read")
	}
	mine, err := Open("journald", Options{GraphRoot: t.TempDir(), HostUID: hostUID()})
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open("journald", Options{GraphRoot: t.TempDir(), HostUID: hostUID()})
	if err != nil {
		t.Fatal(err)
	}
	if mine.Name() != "journald" {
		t.Fatalf("backend %s", mine.Name())
	}
	begin := time.Now().Add(-time.Second)
	const count = 50
	for i := range count {
		write(t, mine, Event{Type: Container, Status: Start, ID: "abc", Name: fmt.Sprint("n", i), Attributes: map[string]string{"l": "a\nb\x00ü"}})
		write(t, other, Event{Type: Container, Status: Start, Name: "foreign"})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n := 0
	for e, err := range mine.Read(ctx, Filter{Since: begin, Stream: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint("n", n); e.Name != want || e.Attributes["l"] != "a\nb\x00ü" {
			t.Fatalf("got %+v, want %s", e, want)
		}
		if n++; n == count {
			break
		}
	}
	if n != count {
		t.Fatalf("%d events of %d", n, count)
	}
	if got := len(collect(t, mine, Filter{Since: begin, Until: time.Now()})); got != count {
		t.Errorf("without stream: %d events", got)
	}
	if got := collect(t, mine, Filter{Since: time.Now().Add(time.Hour)}); len(got) != 0 {
		t.Errorf("events of the future: %v", got)
	}
}
