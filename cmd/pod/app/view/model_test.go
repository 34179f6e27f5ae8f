package view

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// fake is a frame of three rows in the order b, c, a.
func fake() Frame {
	row := func(name string, n float64) Row {
		return Row{Cells: []Cell{Text(name), Number(name+"%", n), Spark(Series{Values: []float64{0, n}, Floor: 10, Tint: Processor}), Text("detail of " + name)}}
	}
	return Frame{
		Title:   "fake",
		Columns: []Column{{Title: "NAME", Flex: true}, {Title: "USE", Key: "u", Rank: 1, Right: true}, {Title: "PAST", Rank: 2, Spark: true}, {Title: "DETAIL", Key: "d", Rank: 3}},
		Rows:    []Row{row("bravo", 2), row("charlie", 30), row("alpha", 10)},
	}
}

func screen(m tea.Model) []string {
	return strings.Split(ansi.Strip(m.View().Content), "\n")
}

func press(t *testing.T, m tea.Model, keys ...string) tea.Model {
	t.Helper()
	codes := map[string]rune{"left": tea.KeyLeft, "right": tea.KeyRight, "down": tea.KeyDown, "end": tea.KeyEnd, "home": tea.KeyHome, "esc": tea.KeyEscape, "space": tea.KeySpace}
	for _, k := range keys {
		msg := tea.KeyPressMsg{Code: codes[k]}
		if msg.Code == 0 {
			msg = tea.KeyPressMsg{Text: k, Code: []rune(k)[0]}
		}
		m, _ = m.Update(msg)
	}
	return m
}

// order is the first letters of the rows on the screen.
func order(m tea.Model) string {
	var letters strings.Builder
	for _, line := range screen(m)[2:] {
		for _, name := range []string{"alpha", "bravo", "charlie"} {
			if strings.HasPrefix(line, name) {
				letters.WriteString(name[:1])
			}
		}
	}
	return letters.String()
}

func TestSort(t *testing.T) {
	for _, tc := range []struct {
		name, sort string
		keys       []string
		want       string
	}{
		{"as given", "", nil, "bca"},
		{"numbers from the highest", "USE", nil, "cab"},
		{"reversed", "USE", []string{"r"}, "bac"},
		{"by key", "", []string{"u"}, "cab"},
		{"key again", "", []string{"u", "u"}, "bac"},
		{"texts from the first", "", []string{"d"}, "abc"},
		{"arrow", "", []string{"right"}, "abc"},
		{"arrow over sparklines", "USE", []string{"right"}, "abc"},
		{"arrow round the end", "NAME", []string{"left", "r"}, "cba"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := press(t, newModel(fake(), tc.sort, time.Second), tc.keys...)
			if got := order(m); got != tc.want {
				t.Errorf("order %s, want %s\n%s", got, tc.want, strings.Join(screen(m), "\n"))
			}
		})
	}
}

func TestLastRows(t *testing.T) {
	f := fake()
	f.Rows[1].Last = true
	if got := order(newModel(f, "USE", time.Second)); got != "abc" {
		t.Errorf("order %s", got)
	}
}

func TestQuit(t *testing.T) {
	for _, msg := range []tea.KeyPressMsg{{Text: "q", Code: 'q'}, {Code: tea.KeyEscape}, {Code: 'c', Mod: tea.ModCtrl}} {
		m, cmd := newModel(fake(), "", time.Second).Update(msg)
		if cmd == nil {
			t.Fatalf("%s does nothing", msg)
		}
		if _, quits := cmd().(tea.QuitMsg); !quits || m.(model).result != nil {
			t.Errorf("%s: no quiet end", msg)
		}
	}
	m, cmd := newModel(fake(), "", time.Second).Update(stopped{syscall.SIGTERM})
	var sig Signal
	if _, quits := cmd().(tea.QuitMsg); !quits || !errors.As(m.(model).result, &sig) || sig.ExitCode() != 143 {
		t.Error("SIGTERM does not end it with 143")
	}
}

func TestFrames(t *testing.T) {
	calls := 0
	m := newModel(fake(), "USE", time.Second)
	m.next = func() tea.Msg { calls++; return fetched{frame: fake()} }
	next, cmd := m.Update(due{0})
	if cmd == nil {
		t.Fatal("no frame is fetched when one is due")
	}
	if _, twice := next.Update(due{0}); twice != nil {
		t.Error("two frames are fetched at once")
	}
	f := fake()
	f.Rows = f.Rows[:1]
	next, _ = next.Update(fetched{frame: f})
	if got := order(next); got != "b" {
		t.Errorf("rows %q after one has gone", got)
	}
	if _, cmd := next.Update(due{0}); cmd != nil {
		t.Error("an old timer counts")
	}
	paused := press(t, next, "space")
	if _, cmd := paused.Update(due{1}); cmd != nil || !strings.HasSuffix(screen(paused)[0], "paused") {
		t.Error("it goes on while it is paused")
	}
	broken := errors.New("broken")
	last, cmd := next.Update(fetched{err: broken})
	if _, quits := cmd().(tea.QuitMsg); !quits || !errors.Is(last.(model).result, broken) {
		t.Error("an error does not end it")
	}
	if calls != 0 {
		t.Error("Update has done the work itself")
	}
}

func TestInterval(t *testing.T) {
	m := press(t, newModel(fake(), "", 4*time.Second), "+")
	if got := m.(model).interval; got != 2*time.Second {
		t.Errorf("+ makes %s", got)
	}
	if got := press(t, m, "+", "+", "+").(model).interval; got != time.Second {
		t.Errorf("shortest is %s", got)
	}
	if got := press(t, m, "-", "-", "-", "-", "-", "-", "-").(model).interval; got != time.Minute {
		t.Errorf("longest is %s", got)
	}
}

func TestSizes(t *testing.T) {
	f := fake()
	for range 100 {
		f.Rows = append(f.Rows, fake().Rows...)
	}
	f.Meters = []Meter{{Name: "CPU", Text: "3%", Series: Series{Values: []float64{1, 2, 3}}}}
	for _, size := range [][2]int{{200, 60}, {80, 24}, {40, 10}, {20, 5}, {5, 3}, {1, 1}} {
		m, _ := newModel(f, "USE", time.Second).Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for _, n := range []string{"first", "end"} {
			m = press(t, m, n)
			lines := screen(m)
			if len(lines) > max(size[1], 4) {
				t.Errorf("%v: %d lines", size, len(lines))
			}
			for _, line := range lines {
				if w := ansi.StringWidth(line); w > size[0] {
					t.Errorf("%v: a line of %d cells: %q", size, w, line)
				}
			}
		}
	}
}

func TestScroll(t *testing.T) {
	f := fake()
	f.Rows = nil
	for name := range strings.FieldsSeq(strings.Repeat("x ", 50)) {
		f.Rows = append(f.Rows, Row{Cells: []Cell{Text(name), Number("1", 1), Spark(Series{}), Text("")}})
	}
	f.Rows = append(f.Rows, fake().Rows...)
	m := tea.Model(newModel(f, "", time.Second))
	if got := order(m); got != "" {
		t.Errorf("%s is shown without scrolling", got)
	}
	m = press(t, m, "end")
	if got := order(m); got != "bca" {
		t.Errorf("%q at the end\n%s", got, strings.Join(screen(m), "\n"))
	}
	if got := order(press(t, m, "home")); got != "" {
		t.Errorf("%s is shown back at the top", got)
	}
	next, _ := m.Update(fetched{frame: fake()}) // most rows have gone meanwhile
	if got := order(next); got != "bca" {
		t.Errorf("%q when the others have gone\n%s", got, strings.Join(screen(next), "\n"))
	}
}

func TestMetersNeedRoom(t *testing.T) {
	f := fake()
	f.Meters = []Meter{{Name: "CPU", Text: "3%", Series: Series{Values: []float64{1, 2, 3}}}}
	m := tea.Model(newModel(f, "", time.Second))
	if line := screen(m)[1]; !strings.HasPrefix(line, "CPU  3%") || !strings.Contains(line, "█") {
		t.Errorf("no meter: %q", line)
	}
	m, _ = m.Update(tea.WindowSizeMsg{Width: 80, Height: 8})
	if line := screen(m)[1]; !strings.HasPrefix(line, "NAME") {
		t.Errorf("a meter on a low terminal: %q", line)
	}
}
