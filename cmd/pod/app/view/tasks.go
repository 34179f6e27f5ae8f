package view

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"charm.land/bubbles/v2/spinner"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// Tasks shows what runs on a terminal, a line each, with its time and the newest
// line of its output. What has finished stands above and scrolls away. No key is
// read: what the user types is for the shell, and Ctrl-C is a signal.
type Tasks struct {
	program *tea.Program
	ended   chan error
	state   *tasks
}

// task is one line.
type task struct {
	name, title, newest string
	since               time.Time
}

// tasks is what runs. It is shared: output comes faster than a terminal is drawn.
type tasks struct {
	mu  sync.Mutex
	run []*task
}

// NewTasks takes over the end of the terminal's screen.
func NewTasks(out io.Writer) *Tasks {
	t := &Tasks{state: &tasks{}, ended: make(chan error, 1)}
	t.program = tea.NewProgram(
		taskModel{state: t.state, width: Width(out), height: 24, spin: spinner.New(spinner.WithSpinner(spinner.MiniDot))},
		tea.WithInput(nil), tea.WithOutput(out), tea.WithoutSignalHandler(), tea.WithColorProfile(colorprofile.Env(os.Environ())),
	)
	go func() {
		_, err := t.program.Run()
		t.ended <- err
	}()
	return t
}

// Start adds a line; one that has the name gets another title and begins anew.
func (t *Tasks) Start(name, title string) {
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	found := t.state.find(name)
	if found == nil {
		found = &task{name: name}
		t.state.run = append(t.state.run, found)
	}
	found.title, found.newest, found.since = clear(title), "", time.Now()
}

// Say sets the newest line of a task's output.
func (t *Tasks) Say(name, line string) {
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	if found := t.state.find(name); found != nil {
		if line = clear(line); line != "" {
			found.newest = line
		}
	}
}

// End removes a line.
func (t *Tasks) End(name string) {
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	for i, one := range t.state.run {
		if one.name == name {
			t.state.run = append(t.state.run[:i], t.state.run[i+1:]...)
			return
		}
	}
}

// Print puts lines above those that run.
func (t *Tasks) Print(text string) { t.program.Println(text) }

// Close gives the terminal back: nothing that runs is shown any more.
func (t *Tasks) Close() error {
	t.state.mu.Lock()
	t.state.run = nil
	t.state.mu.Unlock()
	t.program.Quit()
	if err := <-t.ended; err != nil {
		return fmt.Errorf("show on the terminal: %w", err)
	}
	return nil
}

func (s *tasks) find(name string) *task {
	for _, one := range s.run {
		if one.name == name {
			return one
		}
	}
	return nil
}

// clear is what a line of output would leave on a screen, without what would move
// the cursor: a step may write anything.
func clear(line string) string {
	line = strings.TrimRight(line, "\r\n ")
	line = line[strings.LastIndexAny(line, "\r\n")+1:]
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, ansi.Strip(line))
}

// Clear is a text of somebody else's as a line that a terminal can be given.
func Clear(line string) string { return clear(line) }

// taskModel draws tasks.
type taskModel struct {
	state         *tasks
	width, height int
	spin          spinner.Model
}

// Init starts the clock.
func (m taskModel) Init() tea.Cmd { return m.spin.Tick }

// Update is what a message changes.
func (m taskModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case spinner.TickMsg:
		var cmd tea.Cmd
		m.spin, cmd = m.spin.Update(msg)
		return m, cmd
	}
	return m, nil
}

// View is what stands below what was printed.
func (m taskModel) View() tea.View {
	m.state.mu.Lock()
	defer m.state.mu.Unlock()
	lines := make([]string, 0, len(m.state.run))
	room := max(m.height-2, 1) // the last line that was printed stays in sight
	for i, one := range m.state.run {
		if i == room-1 && len(m.state.run) > room {
			lines = append(lines, faint().Render(fmt.Sprintf("and %d more", len(m.state.run)-i)))
			break
		}
		lines = append(lines, m.line(one))
	}
	return tea.NewView(strings.Join(lines, "\n"))
}

func (m taskModel) line(one *task) string {
	line := m.spin.View() + " " + pad(Elapsed(time.Since(one.since)), 6) + " " + lipgloss.NewStyle().Bold(true).Render(one.title)
	if one.newest != "" {
		// The title gets half of the line at least, the output what is left.
		if half := m.width / 2; lipgloss.Width(line) > half {
			line = ansi.Truncate(line, half, "…")
		}
		line += "  " + faint().Render(one.newest)
	}
	return ansi.Truncate(line, m.width, "…")
}

// Elapsed is a duration as people say it.
func Elapsed(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// Cut is a line that fits the width.
func Cut(line string, width int) string { return ansi.Truncate(line, width, "…") }

// Good colours a result; so do Bad and Faint.
func Good(s string) string { return lipgloss.NewStyle().Foreground(lipgloss.Green).Render(s) }

// Bad is for what went wrong.
func Bad(s string) string { return lipgloss.NewStyle().Foreground(lipgloss.Red).Render(s) }

// Faint is for what matters less.
func Faint(s string) string { return faint().Render(s) }
