package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/rootless-pod/pod/pkg/storage"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

// setLogging makes --log-level true for pod and for the libraries.
func setLogging(a *cli.App) error {
	var level slog.Level
	switch strings.ToLower(a.Global.LogLevel) {
	case "trace", "debug":
		level = slog.LevelDebug
	case "info":
		level = slog.LevelInfo
	case "warn", "warning":
		level = slog.LevelWarn
	case "error", "fatal", "panic":
		level = slog.LevelError
	default:
		return fmt.Errorf("log level %q is not supported: use trace, debug, info, warn, error, fatal or panic", a.Global.LogLevel)
	}
	if a.Global.Syslog {
		w, err := syslog.New(syslog.LOG_USER|syslog.LOG_INFO, "pod")
		if err != nil {
			return fmt.Errorf("--syslog: %w: it needs a syslog or systemd's journal on this host", err)
		}
		a.LogErr = io.MultiWriter(a.Err, syslogLines{w})
		logrus.SetOutput(a.LogErr)
	}
	a.Log = slog.New(&lineHandler{w: a.LogErr, level: level})
	logLibraries(level)
	return nil
}

// syslogLines gives lines to syslog, each with the severity that it begins with.
type syslogLines struct{ to *syslog.Writer }

// Write implements io.Writer; it is given whole lines.
func (s syslogLines) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level, _, _ := strings.Cut(text, " ")
	log := s.to.Err
	switch strings.TrimSuffix(level, ":") {
	case "DEBUG", "TRACE":
		log = s.to.Debug
	case "INFO":
		log = s.to.Info
	case "WARN", "WARNING":
		log = s.to.Warning
	}
	return len(line), log(text)
}

// logLibraries gives the libraries of containers/*, which log by logrus, the
// level of pod. What they warn of is said by pod's own errors.
func logLibraries(level slog.Level) {
	logrus.SetFormatter(libraryLines{})
	switch level {
	case slog.LevelDebug:
		logrus.SetLevel(logrus.DebugLevel)
	case slog.LevelInfo:
		logrus.SetLevel(logrus.InfoLevel)
	default:
		logrus.SetLevel(logrus.ErrorLevel)
	}
}

// libraryLines formats log entries of the libraries as pod's own. What they
// complain about while they clean up on a full disk is left out: the command's
// error says it, and the next command cleans up.
type libraryLines struct{}

// Format implements logrus.Formatter.
func (libraryLines) Format(e *logrus.Entry) ([]byte, error) {
	if e.Level <= logrus.ErrorLevel && strings.Contains(e.Message, storage.ErrNoSpace.Error()) {
		return nil, nil
	}
	line := strings.ToUpper(e.Level.String()) + " " + strings.ReplaceAll(strings.TrimSpace(e.Message), "\n", "; ")
	return []byte(line + "\n"), nil
}

// lineHandler writes log records for people: LEVEL message key=value.
type lineHandler struct {
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle implements slog.Handler.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Level, r.Message)
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String())
	return err
}

// WithAttrs implements slog.Handler.
func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &with
}

// WithGroup implements slog.Handler; nothing of pod groups its attributes.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }
