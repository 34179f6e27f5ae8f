package app

import (
	"log/slog"

	"github.com/sirupsen/logrus"
)

// logLibraries gives the libraries of containers/*, which log by logrus, the
// level of pod. What they warn of is said by pod's own errors.
func logLibraries(level slog.Level) {
	switch {
	case level <= slog.LevelDebug:
		logrus.SetLevel(logrus.DebugLevel)
	case level <= slog.LevelInfo:
		logrus.SetLevel(logrus.InfoLevel)
	default:
		logrus.SetLevel(logrus.ErrorLevel)
	}
}
