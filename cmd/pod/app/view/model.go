package view

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"charm.land/bubbles/v2/help"
	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/table"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// The messages of a live view, beside those of the terminal.
type (
	fetched struct {
		frame Frame
		err   error
	}
	due     struct{ round int }
	stopped struct{ signal syscall.Signal }
)

// metersFrom is the height from which meters are shown: below, the table is
// worth more.
const metersFrom = 12

// model is a live view between two messages.
type model struct {
	next     tea.Cmd
	interval time.Duration
	frame    Frame
	// sort is the title of the column that rows are sorted by, down from the highest.
	sort string
	down bool
	// paused: no new frames. round counts timers, so that an old one is told.
	paused, busy  bool
	round         int
	width, height int
	// top is the first row that is shown.
	top   int
	table table.Model
	help  help.Model
	// result is why the view has ended, if it was not the user.
	result error
}

func newModel(first Frame, sort string, interval time.Duration) model {
	plain := lipgloss.NewStyle()
	m := model{
		frame: first, interval: interval, width: 80, height: 24, help: help.New(),
		table: table.New(
			table.WithStyles(table.Styles{Header: plain.PaddingRight(gap), Cell: plain.PaddingRight(gap), Selected: plain}),
		),
	}
	// The library's greys are black where there are few colours.
	m.help.Styles.ShortKey, m.help.Styles.ShortDesc = plain, faint()
	m.help.Styles.ShortSeparator, m.help.Styles.Ellipsis = faint(), faint()
	m.sortBy(sort)
	m.layout()
	return m
}

// Init starts the clock. The second frame comes soon: only then are there rates.
func (m model) Init() tea.Cmd { return m.tick(min(m.interval, time.Second)) }

func (m model) tick(after time.Duration) tea.Cmd {
	round := m.round
	return tea.Tick(after, func(time.Time) tea.Msg { return due{round} })
}

// Update is what a message changes.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case stopped:
		m.result = Signal{msg.signal}
		return m, tea.Quit
	case due:
		if msg.round != m.round || m.paused || m.busy {
			return m, nil
		}
		m.busy = true
		return m, m.next
	case fetched:
		m.busy = false
		if msg.err != nil {
			m.result = msg.err
			return m, tea.Quit
		}
		if !m.paused {
			m.frame = msg.frame
		}
		m.round++
		cmd = m.tick(m.interval)
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		cmd = m.press(msg)
	default:
		return m, nil
	}
	m.layout()
	return m, cmd
}

// press does what a key is for.
func (m *model) press(msg tea.KeyPressMsg) tea.Cmd {
	switch pressed := msg.String(); pressed {
	case "q", "esc", "ctrl+c":
		return tea.Quit
	case "ctrl+l":
		return tea.ClearScreen // and draw it again: something else has written on it
	case "ctrl+z":
		return tea.Suspend
	case "left", "<":
		m.step(-1)
	case "right", ">":
		m.step(1)
	case "up", "k":
		m.top--
	case "down", "j":
		m.top++
	case "pgup":
		m.top -= m.visible()
	case "pgdown":
		m.top += m.visible()
	case "home", "g":
		m.top = 0
	case "end", "G":
		m.top = len(m.frame.Rows) // as far as that goes
	case "r":
		m.down = !m.down
	case "space":
		m.paused = !m.paused
		if !m.paused {
			m.round++
			return m.tick(0)
		}
	case "+", "=":
		m.interval = max(m.interval/2, time.Second).Round(time.Second)
		return m.restart()
	case "-":
		m.interval = min(m.interval*2, time.Minute)
		return m.restart()
	default:
		for _, c := range m.frame.Columns {
			if c.Key == pressed {
				m.toggle(c.Title)
			}
		}
	}
	return nil
}

// restart counts the interval from now.
func (m *model) restart() tea.Cmd {
	m.round++
	return m.tick(m.interval)
}

// column is the place of the column that rows are sorted by; -1 is none.
func (m *model) column() int {
	return slices.IndexFunc(m.frame.Columns, func(c Column) bool { return m.sort != "" && c.Title == m.sort })
}

func (m *model) sortBy(title string) {
	m.sort = title
	if at := m.column(); at >= 0 {
		m.down = m.frame.Columns[at].Spark || numeric(m.frame.Rows, at)
	}
}

// toggle sorts by a column; again, the other way round.
func (m *model) toggle(title string) {
	if m.sort == title {
		m.down = !m.down
		return
	}
	m.sortBy(title)
}

// step sorts by the next column that is shown.
func (m *model) step(by int) {
	shown := widths(m.frame.Columns, m.frame.Rows, m.width)
	n := len(shown)
	at := m.column()
	if at < 0 && by < 0 {
		at = 0
	}
	for range n {
		at = (at + by + n) % n
		if shown[at] > 0 && !m.frame.Columns[at].Spark {
			m.sortBy(m.frame.Columns[at].Title)
			return
		}
	}
}

// visible is how many rows there is room for, below title and headings and above
// the keys.
func (m *model) visible() int { return max(m.height-3-len(m.meters()), 1) }

// layout fills the table for the size of the terminal.
func (m *model) layout() {
	at := m.column()
	rows := sorted(m.frame.Rows, at, m.down)
	shown := widths(m.frame.Columns, rows, m.width)
	height := m.visible()
	m.top = max(min(m.top, len(rows)-height), 0)
	rows = rows[m.top:min(m.top+height, len(rows))]
	cells := make([]table.Row, len(rows))
	for i, r := range rows {
		cells[i] = m.cells(r, shown)
	}
	m.table.SetRows(nil) // rows and columns must never disagree
	m.table.SetColumns(m.headings(shown, at))
	m.table.SetWidth(m.width)
	m.table.SetHeight(height + 1)
	m.table.SetRows(cells)
	m.table.SetCursor(0) // the table draws the rows that follow it
	m.help.SetWidth(m.width - lipgloss.Width(m.frame.Note) - gap)
}

func (m *model) headings(shown []int, at int) []table.Column {
	headings := make([]table.Column, len(shown))
	for i, c := range m.frame.Columns {
		title, style := c.Title, lipgloss.NewStyle().Bold(true)
		if i == at {
			if m.down {
				title += "▼"
			} else {
				title += "▲"
			}
			style = style.Reverse(true)
		}
		if c.Right {
			title = pad(title, shown[i])
		}
		headings[i] = table.Column{Title: style.Render(title), Width: shown[i]}
	}
	return headings
}

// cells makes the texts of a row.
func (m *model) cells(r Row, shown []int) table.Row {
	cells := make(table.Row, len(shown))
	for i, c := range r.Cells {
		if shown[i] == 0 {
			continue
		}
		if m.frame.Columns[i].Spark {
			cells[i] = draw(c.Series, shown[i], r.Dim)
			continue
		}
		text := ansi.Truncate(c.Text, shown[i], "…")
		if m.frame.Columns[i].Right {
			text = pad(text, shown[i])
		}
		if r.Dim {
			text = faint().Render(text)
		}
		cells[i] = text
	}
	return cells
}

func pad(s string, width int) string {
	return strings.Repeat(" ", max(width-lipgloss.Width(s), 0)) + s
}

// meters are the lines above the table, if there is room.
func (m *model) meters() []string {
	if m.height < metersFrom || len(m.frame.Meters) == 0 {
		return nil
	}
	names, texts := 0, 0
	for _, meter := range m.frame.Meters {
		names, texts = max(names, lipgloss.Width(meter.Name)), max(texts, lipgloss.Width(meter.Text))
	}
	lines := make([]string, 0, len(m.frame.Meters))
	for _, meter := range m.frame.Meters {
		line := fmt.Sprintf("%-*s  %-*s  ", names, meter.Name, texts, meter.Text)
		lines = append(lines, line+draw(meter.Series, min(m.width-lipgloss.Width(line), 2*maxSpark), false))
	}
	return lines
}

func (m *model) title() string {
	state := "every " + m.interval.String()
	if m.paused {
		state = "paused"
	}
	if n, height := len(m.frame.Rows), m.visible(); n > height {
		state = fmt.Sprintf("%d-%d of %d, %s", m.top+1, m.top+height, n, state)
	}
	left := ansi.Truncate(m.frame.Title, max(m.width-len(state)-gap, 0), "…")
	return lipgloss.NewStyle().Bold(true).Render(left) + faint().Render(pad(state, m.width-lipgloss.Width(left)))
}

func (m *model) keys() string {
	hint := func(keys, what string) key.Binding {
		return key.NewBinding(key.WithKeys(keys), key.WithHelp(keys, what))
	}
	hints := []key.Binding{hint("q", "quit"), hint("←→", "sort"), hint("r", "reverse"), hint("space", "pause"), hint("+-", "interval"), hint("↑↓", "scroll")}
	for _, c := range m.frame.Columns {
		if c.Key != "" {
			hints = append(hints, hint(c.Key, strings.ToLower(c.Title)))
		}
	}
	line := m.help.ShortHelpView(hints)
	if m.frame.Note == "" {
		return line
	}
	return lipgloss.NewStyle().Bold(true).Render(m.frame.Note) + strings.Repeat(" ", gap) + line
}

// View is the screen.
func (m model) View() tea.View {
	lines := append([]string{m.title()}, m.meters()...)
	lines = append(lines, m.table.View(), m.keys())
	for i, line := range lines {
		lines[i] = cut(line, m.width)
	}
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	return v
}

// cut makes each line as short as the terminal is wide.
func cut(block string, width int) string {
	lines := strings.Split(block, "\n")
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, width, "")
	}
	return strings.Join(lines, "\n")
}
