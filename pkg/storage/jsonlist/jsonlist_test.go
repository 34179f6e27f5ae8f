package jsonlist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func id(n int) string { return fmt.Sprintf("%064x", n) }

// record is like the library's, with what may be taken for something else.
func record(n int) []byte {
	inner, _ := json.Marshal(map[string]any{"id": id(n + 1), "brackets": `}],{"id":"` + id(n+2) + `"`})
	all, _ := json.Marshal(struct {
		ID       string         `json:"id"`
		Names    []string       `json:"names,omitempty"`
		Metadata string         `json:"metadata"`
		Flags    map[string]any `json:"flags"`
	}{id(n), []string{fmt.Sprintf("name%d", n)}, string(inner), map[string]any{"a": []int{1, 2}, "b": map[string]string{"c": "\\\"}"}}})
	return all
}

func list(t *testing.T, l List) (ids []string) {
	t.Helper()
	if len(l) == 0 {
		return nil
	}
	var all []struct{ ID string }
	if err := json.Unmarshal(l, &all); err != nil {
		t.Fatalf("%v in %s", err, l)
	}
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestRecordsComeAndGo(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string][]int{
		"first": {0, 1, 2, 3}, "last": {3, 2, 1, 0}, "middle": {1, 2, 0, 3}, "middle, last": {2, 3, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l List
			want := map[string]bool{}
			for n := range 4 {
				l = l.With(record(n))
				want[id(n)] = true
			}
			for _, n := range gone {
				if err := l.Check(); err != nil {
					t.Fatal(err)
				}
				from, to, err := l.Find(id(n))
				if err != nil || from < 0 {
					t.Fatalf("Find: %d, %v in %s", from, err, l)
				}
				if got := string(l[from:to]); got != string(record(n)) {
					t.Errorf("found %s", got)
				}
				l = l.Without(from, to)
				delete(want, id(n))
				got := list(t, l)
				if len(got) != len(want) {
					t.Errorf("left %v, want %v", got, want)
				}
				for _, id := range got {
					if !want[id] {
						t.Errorf("%s is left", id)
					}
				}
				if from, _, err := l.Find(id(n)); from >= 0 || err != nil {
					t.Errorf("found again at %d, %v", from, err)
				}
			}
			if string(l) != "[]" || l.Check() != nil {
				t.Errorf("in the end: %s", l)
			}
			if l = l.With(record(1)); string(l) != "["+string(record(1))+"]" {
				t.Errorf("after the end: %s", l)
			}
		})
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	l := List(nil).With(record(1))
	for text, want := range map[string]bool{"name1": true, "name": false, "ame1": false, "brackets": false, id(1): true, id(2): false} {
		if got := l.Mentions(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	l := List(nil)
	for n := range 4 {
		count := 0
		for r, err := range l.Records() {
			if err != nil || string(r) != string(record(count)) {
				t.Errorf("%d of %d: %s, %v", count, n, r, err)
			}
			count++
		}
		if count != n {
			t.Errorf("%d records, want %d", count, n)
		}
		l = l.With(record(n))
	}
	for range l.Records() {
		break
	}
	usual := string(l)
	for _, l := range []string{usual[:len(usual)-1], usual[:len(usual)/2], usual + "]", strings.ReplaceAll(usual, "},{", "} ,{"), "null", "[x]", "[[]]", "[{}"} {
		var last error
		for _, err := range List(l).Records() {
			last = err
		}
		if !errors.Is(last, ErrUnusual) {
			t.Errorf("%s: %v", l, last)
		}
	}
}

func TestAsIs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"": true, "quay.io/a/b:1": true, "a@sha256:1": true, `"`: false, `\`: false, "<": false, "\n": false, "\xff": false} {
		if AsIs(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestUnusualListsAreLeftAlone(t *testing.T) {
	t.Parallel()
	usual := string(List(nil).With(record(1)).With(record(2)))
	for _, l := range []string{
		"null", "{}", "[ ]", "x", " " + usual, usual + "\n", usual[:len(usual)-1],
		strings.ReplaceAll(usual, `{"id"`, `{ "id"`), `[{"names":[],"id":"1"}]`,
	} {
		if err := List(l).Check(); !errors.Is(err, ErrUnusual) {
			t.Errorf("%s: %v", l, err)
		}
	}
	for _, l := range []string{
		`[{"id":"a","b":[{"id":"1"},{"id":"2"}]}]`, `[{"id":"a","b":[{"id":"2"}]}]`, `[{"id":"a"},{"id":"2","b":[}]`,
		`[{"id":"a"},{"id":"2"} ,{"id":"3"}]`, `[{"id":"a"},{"id":"2"}]]`, `[{"id":"2"`, `{"id":"2"}`, `[{"id":"a","b":{"id":"2"}}]`,
	} {
		if from, to, err := List(l).Find("2"); !errors.Is(err, ErrUnusual) {
			t.Errorf("%s: %d to %d, %v", l, from, to, err)
		}
	}
}

// What Find finds is a record of the array, whatever is in the others.
func FuzzFind(f *testing.F) {
	f.Add([]byte(List(nil).With(record(1)).With(record(2)).With(record(3))), id(2))
	f.Add([]byte(`[{"id":"a","b":[{"id":"1"},{"id":"2"}]}]`), "2")
	f.Fuzz(func(t *testing.T, data []byte, id string) {
		var all []json.RawMessage
		quoted, _ := json.Marshal(id)
		l := List(data)
		if l.Check() != nil || bytes.Count(l, []byte(`{"id":"`)) != bytes.Count(l, []byte(`"id"`)) || json.Unmarshal(data, &all) != nil || string(quoted) != `"`+id+`"` {
			return
		}
		if bytes.Count(l, []byte(`{"id":"`)) != len(all) {
			return // objects with ids inside records
		}
		from, to, err := l.Find(id)
		if err != nil || from < 0 {
			return
		}
		found := string(l[from:to])
		for _, r := range all {
			if string(r) == found {
				var left []json.RawMessage
				if err := json.Unmarshal(l.Without(from, to), &left); err != nil || len(left) != len(all)-1 {
					t.Errorf("without it: %v, %s", err, left)
				}
				return
			}
		}
		t.Errorf("found %s", found)
	})
}
