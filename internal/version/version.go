// Package version owns what pod says about itself: its version and how it was
// built.
package version

import (
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

const (
	// Version is pod's own version.
	Version = "0.1.0-dev"
	// API is the version of podman's interface that pod follows.
	API = "6.0.0"
)

// Commit and Date are set at build time:
//
//	-ldflags "-X github.com/rootless-pod/pod/internal/version.Commit=… -X ….Date=…"
//
// Date is in seconds since 1970 or RFC 3339.
var (
	Commit string //nolint:gochecknoglobals // set by the linker
	Date   string //nolint:gochecknoglobals // set by the linker
)

// Info is the version with its build, in the keys of version and info.
type Info struct {
	APIVersion  string
	Version     string
	GoVersion   string
	GitCommit   string
	BuiltTime   string
	Built       int64
	BuildOrigin string `json:",omitempty"`
	OsArch      string
	Os          string //nolint:revive // the name is an interface
}

// Get returns the version of this program. Without the linker's values it asks
// what Go itself recorded, which costs a parse of the build information.
func Get() Info {
	info := Info{
		APIVersion: API,
		Version:    Version,
		GoVersion:  runtime.Version(),
		GitCommit:  Commit,
		OsArch:     runtime.GOOS + "/" + runtime.GOARCH,
		Os:         runtime.GOOS,
	}
	date := Date
	if info.GitCommit == "" || date == "" {
		if build, ok := debug.ReadBuildInfo(); ok {
			for _, s := range build.Settings {
				switch {
				case s.Key == "vcs.revision" && info.GitCommit == "":
					info.GitCommit = s.Value
				case s.Key == "vcs.time" && date == "":
					date = s.Value
				}
			}
		}
	}
	built := parseDate(date)
	info.Built = built.Unix()
	info.BuiltTime = built.Format(time.ANSIC)
	return info
}

// parseDate reads Date; what it cannot read is 1970.
func parseDate(date string) time.Time {
	if seconds, err := strconv.ParseInt(date, 10, 64); err == nil {
		return time.Unix(seconds, 0).Local()
	}
	if t, err := time.Parse(time.RFC3339, date); err == nil {
		return t.Local()
	}
	return time.Unix(0, 0).Local()
}
