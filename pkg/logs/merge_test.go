package logs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// fixed is a log of lines "SECOND TEXT"; a text that ends with \ is partial.
func fixed(lines ...string) Reader {
	return func(_ context.Context, emit func(Line) error) error {
		for _, line := range lines {
			var n int
			var text string
			if _, err := fmt.Sscan(line, &n, &text); err != nil {
				return err
			}
			text, partial := strings.CutSuffix(text, `\`)
			if err := emit(Line{Time: epoch.Add(time.Duration(n) * time.Second), Data: []byte(text), Partial: partial}); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestMerge(t *testing.T) {
	readers := []Reader{fixed("1 a", "4 d\\", "9 e\\", "10 f", "11 g"), fixed("2 b", "3 c", "5 x"), fixed()}
	collect := func(run func(context.Context, []Reader, func(int, Line) error) error) []string {
		var got []string
		if err := run(t.Context(), readers, func(i int, l Line) error {
			got = append(got, fmt.Sprint(i, string(l.Data)))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := []string{"0a", "1b", "1c", "0def", "1x", "0g"}
	if got := collect(Merge); !slices.Equal(got, want) {
		t.Errorf("merged %q", got)
	}
	got := collect(Follow)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("followed %q", got)
	}
}

func TestMergeEndsWithAnError(t *testing.T) {
	stop := errors.New("stop")
	endless := func(_ context.Context, emit func(Line) error) error {
		for {
			if err := emit(Line{}); err != nil {
				return err
			}
		}
	}
	for name, run := range map[string]func(context.Context, []Reader, func(int, Line) error) error{"merge": Merge, "follow": Follow} {
		if err := run(t.Context(), []Reader{endless, endless}, func(int, Line) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestMergeBoundsLines(t *testing.T) {
	piece := strings.Repeat("x", 100_000)
	endless := func(_ context.Context, emit func(Line) error) error {
		for range 100 {
			if err := emit(Line{Data: []byte(piece), Partial: true}); err != nil {
				return err
			}
		}
		return nil
	}
	total := 0
	err := Merge(t.Context(), []Reader{endless}, func(_ int, l Line) error {
		total += len(l.Data)
		if len(l.Data) > longest+len(piece) {
			return errors.New("too long")
		}
		return nil
	})
	if err != nil || total != 100*len(piece) {
		t.Errorf("%d bytes, %v", total, err)
	}
}
