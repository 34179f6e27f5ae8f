package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootless-pod/pod/internal/journal"
)

var epoch = time.Date(2020, 11, 21, 10, 0, 0, 123456789, time.UTC)

// at is a time of the k8s-file format, n seconds after the epoch.
func at(n int) string { return epoch.Add(time.Duration(n) * time.Second).Format(timeFormat) }

// entry is an entry as conmon writes it.
func entry(n int, stream, flag, data string) string {
	return at(n) + " " + stream + " " + flag + " " + data + "\n"
}

func writeLog(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ctr.log")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shown reads and prints; the result is standard output and error.
func shown(t *testing.T, src Source, o Options) (string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := Printer{Out: &out, Err: &errs}
	if err := errors.Join(Read(t.Context(), src, o, p.Print), p.Flush()); err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String()
}

func TestFile(t *testing.T) {
	plain := entry(0, "stdout", "F", "one") + entry(1, "stderr", "F", "bad") + entry(2, "stdout", "F", "") + entry(3, "stdout", "F", "three")
	long := entry(0, "stdout", "F", "zero") + entry(1, "stdout", "P", "aa") + entry(2, "stderr", "F", "e1") + entry(3, "stdout", "P", "bb") +
		entry(4, "stderr", "F", "e2") + entry(5, "stdout", "F", "cc") + entry(6, "stderr", "F", "e3")
	open := entry(0, "stdout", "F", "one") + entry(1, "stdout", "P", "prompt> ")
	tests := []struct {
		name, content, out, errs string
		o                        Options
	}{
		{name: "all", content: plain, o: Options{Tail: -1}, out: "one\n\nthree\n", errs: "bad\n"},
		{name: "pieces make a line", content: long, o: Options{Tail: -1}, out: "zero\naabbcc\n", errs: "e1\ne2\ne3\n"},
		{name: "no newline at the end", content: open, o: Options{Tail: -1}, out: "one\nprompt> "},
		{name: "tail 0", content: plain, o: Options{Tail: 0}},
		{name: "tail 1", content: plain, o: Options{Tail: 1}, out: "three\n"},
		{name: "tail 3", content: plain, o: Options{Tail: 3}, out: "\nthree\n", errs: "bad\n"},
		{name: "tail of more than there is", content: plain, o: Options{Tail: 9}, out: "one\n\nthree\n", errs: "bad\n"},
		{name: "tail counts whole lines", content: long, o: Options{Tail: 2}, out: "aabbcc\n", errs: "e3\n"},
		{name: "tail counts a line without end", content: open, o: Options{Tail: 1}, out: "prompt> "},
		{name: "since", content: plain, o: Options{Tail: -1, Since: epoch.Add(2 * time.Second)}, out: "\nthree\n"},
		{name: "until", content: plain, o: Options{Tail: -1, Until: epoch.Add(time.Second)}, out: "one\n", errs: "bad\n"},
		{name: "tail before until", content: plain, o: Options{Tail: 1, Until: epoch.Add(time.Second)}, errs: "bad\n"},
		{name: "tail after since", content: plain, o: Options{Tail: 9, Since: epoch.Add(3 * time.Second)}, out: "three\n"},
		{name: "a line half written is not shown", content: plain + at(4) + " stdout F hal", o: Options{Tail: 1}, out: "three\n"},
		{name: "rubbish between lines", content: "rubbish\n" + plain + "\n\x00\x01\n", o: Options{Tail: -1}, out: "one\n\nthree\n", errs: "bad\n"},
		{name: "binary data", content: entry(0, "stdout", "F", "\x00\xff\x1b[31m\r"), o: Options{Tail: 1}, out: "\x00\xff\x1b[31m\r\n"},
		{name: "empty file", content: "", o: Options{Tail: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, errs := shown(t, Source{Driver: "k8s-file", Path: writeLog(t, tt.content)}, tt.o)
			if out != tt.out || errs != tt.errs {
				t.Fatalf("got %q, %q; want %q, %q", out, errs, tt.out, tt.errs)
			}
		})
	}
}

func TestFileLargeLines(t *testing.T) {
	var content strings.Builder
	var want strings.Builder
	for i := range 1 << 7 { // one line of 1 MB in conmon's pieces, stderr in between
		piece := strings.Repeat(string(rune('a'+i%26)), 8<<10)
		content.WriteString(entry(i, "stdout", "P", piece))
		want.WriteString(piece)
	}
	content.WriteString(entry(200, "stdout", "F", ""))
	huge := strings.Repeat("z", 1<<20) // and one in a single entry
	content.WriteString(entry(201, "stdout", "F", huge))
	path := writeLog(t, entry(0, "stdout", "F", "first")+content.String())
	for tail, wanted := range map[int]string{1: huge + "\n", 2: want.String() + "\n" + huge + "\n", -1: "first\n" + want.String() + "\n" + huge + "\n"} {
		if out, _ := shown(t, Source{Path: path}, Options{Tail: tail}); out != wanted {
			t.Errorf("tail %d: %d bytes instead of %d", tail, len(out), len(wanted))
		}
	}
}

func TestTailReadsOnlyTheEnd(t *testing.T) {
	path := writeLog(t, strings.Repeat(entry(1, "stdout", "F", "line"), 100_000))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := int64(100_000 * len(entry(1, "stdout", "F", "line")))
	o := Options{Tail: 10}
	offset, err := (&counter{want: o.Tail, o: &o}).find(f, size)
	if err != nil {
		t.Fatal(err)
	}
	if want := size - 10*size/100_000; offset != want {
		t.Fatalf("offset %d, want %d", offset, want)
	}
}

func TestMissingFileIsEmpty(t *testing.T) {
	if out, errs := shown(t, Source{Path: filepath.Join(t.TempDir(), "none")}, Options{Tail: -1}); out+errs != "" {
		t.Fatalf("got %q", out+errs)
	}
}

// follower runs Read in the background; each line arrives in the channel.
func follower(t *testing.T, path string, o Options) (<-chan string, <-chan error) {
	t.Helper()
	lines, result := make(chan string), make(chan error, 1)
	go func() {
		result <- Read(t.Context(), Source{Path: path}, o, func(l Line) error {
			lines <- string(l.Data)
			return nil
		})
		close(lines)
	}()
	return lines, result
}

func appendLog(t *testing.T, path, content string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log") // not there yet: not started
	ended := make(chan struct{})
	lines, result := follower(t, path, Options{Tail: -1, Follow: true, Ended: ended})
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-lines:
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no line, want %q", want)
		}
	}
	appendLog(t, path, entry(0, "stdout", "F", "one"))
	expect("one")
	second := entry(1, "stdout", "F", "two") // written in two pieces
	appendLog(t, path, second[:10])
	appendLog(t, path, second[10:])
	expect("two")
	// As conmon rotates: an empty file is renamed over the full one.
	for i := range 3 {
		appendLog(t, path, entry(2, "stdout", "F", fmt.Sprint("last of ", i)))
		if err := os.WriteFile(path+".tmp", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			t.Fatal(err)
		}
		appendLog(t, path, entry(3, "stdout", "F", fmt.Sprint("first after ", i)))
		expect(fmt.Sprint("last of ", i))
		expect(fmt.Sprint("first after ", i))
	}
	appendLog(t, path, entry(4, "stdout", "F", "bye"))
	close(ended)
	expect("bye")
	if extra, more := <-lines; more {
		t.Fatalf("extra line %q", extra)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

func TestFollowTail(t *testing.T) {
	path := writeLog(t, entry(0, "stdout", "F", "one")+entry(1, "stdout", "F", "two"))
	ended := make(chan struct{})
	lines, result := follower(t, path, Options{Tail: 1, Follow: true, Ended: ended})
	if got := <-lines; got != "two" {
		t.Fatalf("got %q", got)
	}
	appendLog(t, path, entry(2, "stdout", "F", "three"))
	if got := <-lines; got != "three" {
		t.Fatalf("got %q", got)
	}
	close(ended)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

func TestFollowEndsAtUntil(t *testing.T) {
	path := writeLog(t, entry(0, "stdout", "F", "one"))
	out, _ := shown(t, Source{Path: path}, Options{Tail: -1, Follow: true, Until: time.Now().Add(50 * time.Millisecond)})
	if out != "one\n" {
		t.Fatalf("got %q", out)
	}
}

func TestReadStopsWithEmit(t *testing.T) {
	path := writeLog(t, entry(0, "stdout", "F", "one"))
	stop := errors.New("stop")
	if err := Read(t.Context(), Source{Path: path}, Options{Tail: -1, Follow: true}, func(Line) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("error %v", err)
	}
}

func TestDriversWithoutLogs(t *testing.T) {
	for driver, want := range map[string]string{
		"none":   "this container is using the 'none' log driver, cannot read logs",
		"syslog": `log driver "syslog" is not supported`,
	} {
		if err := Read(t.Context(), Source{Driver: driver}, Options{}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", driver, err)
		}
	}
}

// fakeJournal answers queries from a list of entries, oldest first.
type fakeJournal struct {
	t       *testing.T
	entries []journal.Entry
	queries []journal.Query
	mark    chan journal.Entry
}

func (f *fakeJournal) read(ctx context.Context, q journal.Query, emit func(journal.Entry) error) error {
	f.queries = append(f.queries, q)
	if want := "_UID=1000 CONTAINER_ID_FULL=abc"; !strings.HasPrefix(strings.Join(q.Matches, " "), want) {
		f.t.Errorf("matches %q", q.Matches)
	}
	for i := range f.entries {
		e := f.entries[i]
		if q.Reverse {
			e = f.entries[len(f.entries)-1-i]
		}
		if q.After != "" && e["__CURSOR"] <= q.After {
			continue
		}
		if err := emit(e); err != nil {
			return err
		}
	}
	if !q.Follow {
		return nil
	}
	select {
	case e := <-f.mark:
		return emit(e)
	case <-ctx.Done():
		return nil
	}
}

func (f *fakeJournal) send(_ string, fields []journal.Field) error {
	e := journal.Entry{}
	for _, field := range fields {
		e[field.Name] = field.Value
	}
	f.mark <- e
	return nil
}

func journalEntries() []journal.Entry {
	make := func(i int, priority, partial, message string) journal.Entry {
		return journal.Entry{
			"__CURSOR": fmt.Sprint("c", i), "__REALTIME_TIMESTAMP": fmt.Sprint(epoch.Add(time.Duration(i) * time.Second).UnixMicro()),
			"PRIORITY": priority, fieldPartial: partial, "MESSAGE": message,
		}
	}
	return []journal.Entry{
		make(0, "6", "", "one\n"), make(1, "6", "true", "lo"), make(2, "3", "", "bad"), make(3, "6", "", "ng"), make(4, "6", "", "last\x00"),
	}
}

func TestJournald(t *testing.T) {
	tests := []struct {
		name      string
		o         Options
		out, errs string
	}{
		{"all", Options{Tail: -1}, "one\nlong\nlast\x00\n", "bad\n"},
		{"tail", Options{Tail: 2}, "long\nlast\x00\n", ""},
		{"tail 0", Options{Tail: 0}, "", ""},
		{"since", Options{Tail: -1, Since: epoch.Add(3999 * time.Millisecond)}, "last\x00\n", ""},
		{"until", Options{Tail: -1, Until: epoch.Add(time.Millisecond)}, "one\n", ""},
		{"follow", Options{Tail: -1, Follow: true}, "one\nlong\nlast\x00\n", "bad\n"},
		{"follow after a tail", Options{Tail: 1, Follow: true}, "last\x00\n", ""},
		{"follow from now", Options{Tail: 0, Follow: true}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeJournal{t: t, entries: journalEntries(), mark: make(chan journal.Entry, 1)}
			r := journalReader{src: Source{ID: "abc", HostUID: 1000}, read: f.read, send: f.send}
			ended := make(chan struct{})
			close(ended)
			tt.o.Ended = ended
			var out, errs bytes.Buffer
			p := Printer{Out: &out, Err: &errs}
			if err := errors.Join(r.run(t.Context(), tt.o, p.Print), p.Flush()); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.out || errs.String() != tt.errs {
				t.Fatalf("got %q, %q; want %q, %q", out.String(), errs.String(), tt.out, tt.errs)
			}
		})
	}
}

func TestPrinter(t *testing.T) {
	var out bytes.Buffer
	p := Printer{Out: &out, Err: &out, Timestamps: true, Prefix: "web "}
	stamp := epoch.Local().Format(timeFormat)
	for _, l := range []Line{
		{Time: epoch, Partial: true, Data: []byte("a")},
		{Time: epoch, Data: []byte("b")},
		{Time: epoch, Stderr: true, Data: []byte("c")},
	} {
		if err := p.Print(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "web " + stamp + " ab\nweb " + stamp + " c\n"; out.String() != want {
		t.Fatalf("got %q, want %q", out.String(), want)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(entry(0, "stdout", "F", "x")))
	f.Fuzz(func(_ *testing.T, raw []byte) { parseLine(raw) })
}
