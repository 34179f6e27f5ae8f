package events

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rootless-pod/pod/internal/journal"
)

func collect(t *testing.T, l Log, f Filter) []Event {
	t.Helper()
	var got []Event
	for e, err := range l.Read(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	return got
}

func write(t *testing.T, l Log, list ...Event) {
	t.Helper()
	for _, e := range list {
		if err := l.Write(e); err != nil {
			t.Fatal(err)
		}
	}
}

func names(list []Event) string {
	var b strings.Builder
	for _, e := range list {
		b.WriteString(e.Name + " ")
	}
	return strings.TrimSpace(b.String())
}

func openFile(t *testing.T, maxSize int64) Log {
	t.Helper()
	l, err := Open("file", Options{GraphRoot: t.TempDir(), MaxSize: maxSize})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func sample() []Event {
	at := time.Date(2020, 11, 22, 10, 0, 0, 0, time.UTC)
	three := 3
	return []Event{
		{Time: at, Type: Container, Status: Create, ID: "aaa111", Name: "web", Image: "nginx", Attributes: map[string]string{"app": "x"}},
		{Time: at.Add(time.Second), Type: Container, Status: Died, ID: "aaa111", Name: "web2", Image: "nginx", ExitCode: &three, OOMKilled: true},
		{Time: at.Add(2 * time.Second), Type: Image, Status: Pull, ID: "bbb", Name: "nginx"},
		{Time: at.Add(3 * time.Second), Type: Volume, Status: Create, Name: "data"},
		{Time: at.Add(4 * time.Second), Type: Image, Status: PullError, Name: "nope", Error: "no\nroute"},
	}
}

func TestFileKeepsEvents(t *testing.T) {
	l := openFile(t, 0)
	write(t, l, sample()...)
	got := collect(t, l, Filter{})
	want := sample()
	for i := range want {
		want[i].Store = got[i].Store
	}
	if !reflect.DeepEqual(got, want) || got[0].Store == "" {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestFilters(t *testing.T) {
	l := openFile(t, 0)
	write(t, l, sample()...)
	tests := []struct {
		filters string
		want    string
	}{
		{"container=web", "web"},
		{"container=aaa", "web web2"},
		{"container=", ""},
		{"image=nginx", "nginx"},
		{"volume=data", "data"},
		{"type=container", "web web2"},
		{"event=create", "web data"},
		{"event=create type=volume", "data"},
		{"event=create event=died type=container", "web web2"},
		{"status=die", "web2"},
		{"label=app", "web"},
		{"label=app=x", "web"},
		{"label=app=y", ""},
		{"artifact=a", ""},
	}
	for _, tt := range tests {
		t.Run(tt.filters, func(t *testing.T) {
			filters, err := ParseFilters(strings.Fields(tt.filters))
			if err != nil {
				t.Fatal(err)
			}
			if got := names(collect(t, l, Filter{Filters: filters})); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
		})
	}
	since, until := sample()[1].Time, sample()[2].Time
	if got := names(collect(t, l, Filter{Since: since, Until: until})); got != "web2 nginx" {
		t.Errorf("between two times: %q", got)
	}
	if got := names(collect(t, l, Filter{Since: since, Until: until, Stream: true})); got != "web2 nginx" {
		t.Errorf("a stream that ended in the past: %q", got)
	}
	for _, bad := range []string{"container", "colour=red"} {
		if _, err := ParseFilters([]string{bad}); err == nil || !strings.Contains(err.Error(), "is an invalid filter") {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

func TestFileIsBoundedByManyWriters(t *testing.T) {
	const size = 4000
	l := openFile(t, size)
	path := l.(*fileLog).path
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 50 {
				if err := l.Write(Event{Type: Container, Status: Start, Name: fmt.Sprint(i, "-", j)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for _, p := range []string{path, path + ".1"} {
		info, err := os.Stat(p)
		if err == nil && info.Size() > size+2000 {
			t.Errorf("%s has %d bytes", p, info.Size())
		}
	}
	if got := len(collect(t, l, Filter{})); got < size/200 {
		t.Errorf("only %d events are left", got)
	}
}

func TestFileIgnoresBrokenLines(t *testing.T) {
	l := openFile(t, 0)
	write(t, l, Event{Type: Volume, Name: "one"})
	path := l.(*fileLog).path
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("{\"type\":\n"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	write(t, l, Event{Type: Volume, Name: "two"})
	if got := names(collect(t, l, Filter{})); got != "one two" {
		t.Fatalf("got %q", got)
	}
}

func TestFileRefusesASymlink(t *testing.T) {
	l := openFile(t, 0)
	path := l.(*fileLog).path
	target := filepath.Join(t.TempDir(), "victim")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(Event{Type: System}); err == nil {
		t.Fatal("wrote through a symbolic link")
	}
}

func TestStream(t *testing.T) {
	tests := []struct {
		name   string
		filter Filter
		want   string
	}{
		{"from now", Filter{Stream: true}, "e0 e1 e2 e3 e4 e5 e6 e7 e8 e9"},
		{"with the past", Filter{Stream: true, Since: time.Unix(1, 0)}, "old e0 e1 e2 e3 e4 e5 e6 e7 e8 e9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := openFile(t, 500) // rotates every few events
			write(t, l, Event{Type: Volume, Name: "old"})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			// The reader acknowledges each event, so that it never falls two
			// rotations behind.
			seen := make(chan string)
			go func() {
				defer close(seen)
				for e, err := range l.Read(ctx, tt.filter) {
					if err != nil {
						t.Error(err)
						return
					}
					seen <- e.Name
				}
			}()
			var got []string
			if !tt.filter.Since.IsZero() {
				got = append(got, <-seen)
			} else {
				waitForWatch(t)
			}
			for i := range 10 {
				write(t, l, Event{Type: Volume, Name: fmt.Sprint("e", i)})
				got = append(got, <-seen)
			}
			cancel()
			for extra := range seen {
				got = append(got, extra)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Fatalf("got %q, want %q", s, tt.want)
			}
		})
	}
}

// waitForWatch returns when this process has an inotify watch.
func waitForWatch(t *testing.T) {
	t.Helper()
	for range 10_000 {
		infos, _ := filepath.Glob("/proc/self/fdinfo/*")
		for _, info := range infos {
			if data, err := os.ReadFile(info); err == nil && strings.Contains(string(data), "inotify wd:") {
				return
			}
		}
	}
	t.Fatal("no watch")
}

func TestStreamEndsAtUntil(t *testing.T) {
	l := openFile(t, 0)
	write(t, l, Event{Type: Volume, Name: "one"})
	got := collect(t, l, Filter{Stream: true, Until: time.Now().Add(50 * time.Millisecond)})
	if names(got) != "one" {
		t.Fatalf("got %q", names(got))
	}
}

func TestReadStopsWhenTheCallerDoes(t *testing.T) {
	l := openFile(t, 0)
	write(t, l, sample()...)
	n := 0
	for range l.Read(t.Context(), Filter{Stream: true, Since: time.Unix(1, 0)}) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Fatalf("read %d", n)
	}
}

func TestJournald(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := &journalLog{socket: socket, uid: 1000, store: "s1", read: func(_ context.Context, q journal.Query, emit func(journal.Entry) error) error {
		matches := strings.Join(q.Matches, " ")
		if want := "_UID=1000 MESSAGE_ID=" + messageID + " POD_STORE=s1"; matches != want {
			t.Errorf("matches %q, want %q", matches, want)
		}
		buf := make([]byte, 1<<16)
		for range sample() {
			n, err := conn.Read(buf)
			if err != nil {
				return err
			}
			if err := journal.Parse(strings.NewReader(string(buf[:n])+"\n"), emit); err != nil {
				return err
			}
		}
		return nil
	}}
	write(t, l, sample()...)
	got := collect(t, l, Filter{})
	for i, want := range sample() {
		want.Store = "s1"
		if !got[i].Time.Equal(want.Time) {
			t.Errorf("time %v, want %v", got[i].Time, want.Time)
		}
		got[i].Time = want.Time
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("got  %+v\nwant %+v", got[i], want)
		}
	}
}

func TestJournaldQuery(t *testing.T) {
	hour := time.Now().Add(time.Hour)
	tests := []struct {
		name   string
		filter Filter
		follow bool
		last   int
	}{
		{"all", Filter{}, false, -1},
		{"stream from now", Filter{Stream: true}, true, 0},
		{"stream with the past", Filter{Stream: true, Since: time.Unix(1, 0)}, true, -1},
		{"stream to a time to come", Filter{Stream: true, Until: hour}, true, -1},
		{"stream to a time that was", Filter{Stream: true, Until: time.Unix(1, 0)}, false, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got journal.Query
			l := &journalLog{read: func(ctx context.Context, q journal.Query, _ func(journal.Entry) error) error {
				got = q
				if _, bounded := ctx.Deadline(); bounded != (tt.follow && !tt.filter.Until.IsZero()) {
					t.Errorf("deadline: %v", bounded)
				}
				return nil
			}}
			collect(t, l, tt.filter)
			if got.Follow != tt.follow || got.Last != tt.last {
				t.Fatalf("follow %v last %d", got.Follow, got.Last)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	if _, err := Open("syslog", Options{}); err == nil {
		t.Error("an unknown backend was opened")
	}
	l, err := Open("none", Options{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, Event{})
	for _, err := range l.Read(t.Context(), Filter{}) {
		if !errors.Is(err, ErrNone) {
			t.Errorf("error %v", err)
		}
	}
}

func TestLine(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 5, time.Local)
	stamp := at.Format(timeLayout)
	tests := []struct {
		e        Event
		truncate bool
		want     string
	}{
		{
			Event{Type: Container, Status: Start, ID: "0123456789abcdef", Image: "i", Name: "n", Attributes: map[string]string{"b": "2", "a": "1"}},
			false,
			"container start 0123456789abcdef (image=i, name=n, a=1, b=2)",
		},
		{Event{Type: Container, Status: Start, ID: "0123456789abcdef", Image: "i", Name: "n\x1b[2J\n"}, true, "container start 0123456789ab (image=i, name=n?[2J?)"},
		{Event{Type: Image, Status: Pull, ID: "ab", Name: "img"}, false, "image pull ab img"},
		{Event{Type: Image, Status: PullError, Name: "img", Error: "no route"}, false, "image pull-error img error: no route"},
		{Event{Type: Volume, Status: Create, Name: "v"}, false, "volume create v"},
		{Event{Type: System, Status: Refresh}, false, "system refresh"},
		{Event{Type: Network, Status: Connect, ID: "ab", Network: "net"}, false, "network connect ab (container=ab, name=net)"},
	}
	for _, tt := range tests {
		tt.e.Time = at
		if got, want := tt.e.Line(tt.truncate), stamp+" "+tt.want; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
