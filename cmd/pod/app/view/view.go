// Package view shows what changes on a terminal: tables that refresh, can be
// sorted and scrolled, and have sparklines; coloured events; bars. It knows
// nothing of containers: commands hand it frames. The model is pure, so it is
// tested without a terminal; Bubble Tea draws it and restores the terminal.
package view

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"
)

// IsTerminal says whether w, or a reader, is a terminal.
func IsTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// CanLive says whether a live view can be shown: keys can be read, and the
// terminal can move its cursor.
func CanLive(in *os.File, out io.Writer) bool {
	return IsTerminal(out) && IsTerminal(in) && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != ""
}

// CanDraw says whether out shows lines and bars to somebody.
func CanDraw(out io.Writer) bool { return IsTerminal(out) && os.Getenv("TERM") != "dumb" }

// Colour says whether what is written to out may have colours.
func Colour(out io.Writer) bool {
	return IsTerminal(out) && colorprofile.Env(os.Environ()) > colorprofile.ASCII
}

// Width is that of the terminal out, or 80.
func Width(out any) int {
	if f, ok := out.(interface{ Fd() uintptr }); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// Signal is the error of a view that a signal has ended.
type Signal struct{ Signal syscall.Signal }

func (s Signal) Error() string { return "ended by signal: " + s.Signal.String() }

// ExitCode is what a shell reports of a program that died of the signal.
func (s Signal) ExitCode() int { return 128 + int(s.Signal) }

// Options are what a live view is made of.
type Options struct {
	In  *os.File
	Out io.Writer
	// Interval is the time between frames.
	Interval time.Duration
	// Sort is the title of the column that rows are sorted by at first; empty is the
	// order they have in the frame.
	Sort string
	// Next makes a frame. It is never called twice at once.
	Next func(context.Context) (Frame, error)
}

// Live shows frames until the user has seen enough, or a signal comes, or a
// frame cannot be made. The terminal is as it was afterwards.
func Live(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := o.Next(ctx) // before the terminal is touched: names may be wrong
	if err != nil {
		return err
	}
	m := newModel(first, o.Sort, o.Interval)
	m.next = func() tea.Msg {
		frame, err := o.Next(ctx)
		return fetched{frame, err}
	}
	// Env and not Detect, which would ask tmux by starting it.
	p := tea.NewProgram(
		m, tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithContext(ctx),
		tea.WithColorProfile(colorprofile.Env(os.Environ())), tea.WithoutSignalHandler(),
	)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			p.Send(stopped{s.(syscall.Signal)}) //nolint:errcheck // signals of this system are these
		case <-ctx.Done():
		}
	}()
	last, err := p.Run()
	if err != nil {
		return fmt.Errorf("show on the terminal: %w", err)
	}
	return last.(model).result //nolint:errcheck // it is what the program was given
}
