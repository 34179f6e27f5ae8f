package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// rotate renames as the watcher does.
func rotate(t *testing.T, path string, files int) {
	t.Helper()
	n := 1
	for n < files-1 {
		if _, err := os.Stat(path + "." + strconv.Itoa(n)); err != nil {
			break
		}
		n++
	}
	for ; n > 1; n-- {
		if err := os.Rename(path+"."+strconv.Itoa(n-1), path+"."+strconv.Itoa(n)); err != nil {
			t.Error(err)
		}
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Error(err)
	}
}

// reopen makes the new file as conmon does.
func reopen(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		t.Error(err)
	}
	return f
}

// rotated makes a log of files, the oldest first, each of entries one second apart.
func rotated(t *testing.T, perFile, files int) string {
	t.Helper()
	path := writeLog(t, "")
	for i := range perFile * files {
		if i > 0 && i%perFile == 0 {
			rotate(t, path, files)
		}
		appendLog(t, path, entry(i, "stdout", "F", strconv.Itoa(i)))
	}
	return path
}

func TestRotated(t *testing.T) {
	path := rotated(t, 3, 4) // 0 to 11
	lines := func(first, last int) string {
		var b strings.Builder
		for i := first; i <= last; i++ {
			fmt.Fprintln(&b, i)
		}
		return b.String()
	}
	since := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"all", Options{Tail: -1}, lines(0, 11)},
		{"tail in the newest", Options{Tail: 2}, lines(10, 11)},
		{"tail is the newest", Options{Tail: 3}, lines(9, 11)},
		{"tail over two", Options{Tail: 4}, lines(8, 11)},
		{"tail over all", Options{Tail: 12}, lines(0, 11)},
		{"tail of more than there is", Options{Tail: 100}, lines(0, 11)},
		{"tail 0", Options{Tail: 0}, ""},
		{"since", Options{Tail: -1, Since: since(5)}, lines(5, 11)},
		{"since the beginning of a file", Options{Tail: -1, Since: since(6)}, lines(6, 11)},
		{"since the future", Options{Tail: -1, Since: since(50)}, ""},
		{"until", Options{Tail: -1, Until: since(4)}, lines(0, 4)},
		{"since and until", Options{Tail: -1, Since: since(2), Until: since(7)}, lines(2, 7)},
		{"tail and until", Options{Tail: 3, Until: since(4)}, lines(2, 4)},
		{"tail and since", Options{Tail: 9, Since: since(7)}, lines(7, 11)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, follow := range []bool{false, true} {
				tt.o.Follow = follow
				ended := make(chan struct{})
				close(ended)
				tt.o.Ended = ended
				if got, _ := shown(t, Source{Path: path}, tt.o); got != tt.want {
					t.Errorf("follow %v: got %q, want %q", follow, got, tt.want)
				}
			}
		})
	}
}

func TestRotatedGaps(t *testing.T) {
	path := rotated(t, 2, 4)
	check := func(name, want string) {
		t.Helper()
		if got, _ := shown(t, Source{Path: path}, Options{Tail: -1}); strings.ReplaceAll(got, "\n", " ") != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := os.Rename(path+".3", path+".4"); err != nil {
		t.Fatal(err)
	}
	check("a shift that was not finished", "0 1 2 3 4 5 6 7 ")
	if err := os.Rename(path+".4", path+".3"); err != nil {
		t.Fatal(err)
	}
	rotate(t, path, 9)
	check("no new file yet", "0 1 2 3 4 5 6 7 ")
}

func TestTailInPiecesOverFiles(t *testing.T) {
	path := writeLog(t, entry(0, "stdout", "F", "first")+entry(1, "stdout", "P", "a")+entry(2, "stderr", "F", "e"))
	rotate(t, path, 3)
	appendLog(t, path, entry(3, "stdout", "P", "b")+entry(4, "stdout", "F", "c"))
	if out, errs := shown(t, Source{Path: path}, Options{Tail: 1}); out != "abc\n" || errs != "" {
		t.Errorf("got %q and %q", out, errs)
	}
	if out, errs := shown(t, Source{Path: path}, Options{Tail: 2}); out != "abc\n" || errs != "e\n" {
		t.Errorf("got %q and %q", out, errs)
	}
}

// TestFollowRotation follows a writer that rotates all the time, and reads the
// whole log meanwhile.
func TestFollowRotation(t *testing.T) {
	t.Parallel()
	for _, files := range []int{1000, 20} {
		t.Run(strconv.Itoa(files), func(t *testing.T) {
			t.Parallel()
			path := writeLog(t, "")
			const last = 60000
			var read atomic.Int64
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Error(err)
					return
				}
				for i, since := 0, int64(0); i < last; i++ {
					if rand.IntN(300) == 0 {
						// A follower that is too slow loses, if files go.
						for files < 100 && read.Load() < since {
							time.Sleep(time.Millisecond)
						}
						since = int64(i)
						rotate(t, path, files)
						if rand.IntN(2) == 0 {
							_, err := f.WriteString(entry(1, "stdout", "F", strconv.Itoa(i)))
							i++
							if err != nil {
								t.Error(err)
							}
						}
						_ = f.Close()
						f = reopen(t, path)
					}
					if _, err := f.WriteString(entry(1, "stdout", "F", strconv.Itoa(i))); err != nil {
						t.Error(err)
					}
				}
				_ = f.Close()
			}()
			err := Read(t.Context(), Source{Path: path}, Options{Tail: -1, Follow: true, Ended: ended}, func(l Line) error {
				if want := strconv.FormatInt(read.Load(), 10); string(l.Data) != want {
					return fmt.Errorf("line %q, want %s", l.Data, want)
				}
				read.Add(1)
				return nil
			})
			if n := read.Load(); err != nil || n < last {
				t.Fatalf("%d lines, %v", n, err)
			}
		})
	}
}

// TestReadEndsWhereItBegan: a reader that does not follow ends, though its files
// are deleted and others come meanwhile.
func TestReadEndsWhereItBegan(t *testing.T) {
	path := rotated(t, 2, 5) // 0 to 9
	next := 10
	var got []string
	err := Read(t.Context(), Source{Path: path}, Options{Tail: -1}, func(l Line) error {
		got = append(got, string(l.Data))
		for range 5 {
			rotate(t, path, 5)
			appendLog(t, path, entry(next, "stdout", "F", strconv.Itoa(next)))
			next++
		}
		return nil
	})
	// Two files were open by then, and the last is from the beginning.
	if text := strings.Join(got, " "); err != nil || text != "0 1 2 3 8 9" {
		t.Fatalf("%q, %v", text, err)
	}
}

func TestLongEntry(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 20_000)
	path := writeLog(t, strings.Repeat("x", 200_000)+"\n"+entry(0, "stderr", "P", long)+entry(1, "stderr", "F", long)+entry(2, "stdout", "F", "end"))
	for tail, want := range map[int]string{-1: long + long + "\n", 2: long + long + "\n", 1: ""} {
		largest := 0
		var out, errs bytes.Buffer
		p := Printer{Out: &out, Err: &errs}
		err := Read(t.Context(), Source{Path: path}, Options{Tail: tail}, func(l Line) error {
			largest = max(largest, len(l.Data))
			return p.Print(l)
		})
		if err = errors.Join(err, p.Flush()); err != nil || errs.String() != want || out.String() != "end\n" {
			t.Errorf("tail %d: %d bytes, %v", tail, errs.Len(), err)
		}
		if largest > 64<<10 {
			t.Errorf("a piece of %d bytes", largest)
		}
	}
}

// FuzzFile reads any bytes as a log of two files: every entry that parses comes
// once, whatever part of the end is asked for.
func FuzzFile(f *testing.F) {
	f.Add([]byte(entry(0, "stdout", "F", "x")+"rubbish\n"), []byte(entry(1, "stderr", "P", "y")+entry(2, "stdout", "F", "z")), 1)
	f.Add([]byte("\x00\xff\n\n"), []byte("2020 stdout"), 5)
	f.Fuzz(func(t *testing.T, older, newer []byte, tail int) {
		path := writeLog(t, string(newer))
		if err := os.WriteFile(path+".1", older, 0o600); err != nil {
			t.Fatal(err)
		}
		count := func(tail int) (n int) {
			err := Read(t.Context(), Source{Path: path}, Options{Tail: tail}, func(Line) error { n++; return nil })
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			return n
		}
		want := 0
		for _, text := range [][]byte{older, newer} {
			for raw := range bytes.SplitAfterSeq(text, []byte("\n")) {
				if line, whole := bytes.CutSuffix(raw, []byte("\n")); whole {
					if _, ok := parseLine(line); ok {
						want++
					}
				}
			}
		}
		if all := count(-1); all != want {
			t.Fatalf("%d entries of %d", all, want)
		}
		if all := count(len(older) + len(newer)); all != want {
			t.Fatalf("from the end: %d entries of %d", all, want)
		}
		if n := count(tail % 100); tail%100 >= 0 && n > want {
			t.Fatalf("tail: %d entries of %d", n, want)
		}
	})
}
