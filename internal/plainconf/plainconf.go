// Package plainconf shows a configuration library its files without their comments.
//
// Distributions ship containers.conf with every option described in comments: 33 KiB
// of which one line counts. The TOML parser takes each of their characters through a
// channel, which made a fifth of the instructions of `pod run`.
package plainconf

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"

	"go.podman.io/storage/pkg/configfile"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/environ"
)

// maxFile is the size up to which a file is looked at.
const maxFile = 1 << 20

// Read calls read, which reads the configuration that conf describes, when the
// variable conf.EnvironmentName names what is left of its files without comments. If
// there is more left than two files, or read finds fault with it, it is called with
// the files themselves, so that an error names them and their lines.
//
// It changes the environment while it runs: no other goroutine may start a program or
// read the variable meanwhile.
func Read(conf configfile.File, read func() error) error {
	files, ok := plain(conf)
	defer func() {
		for _, f := range files {
			_ = f.Close() // in memory only
		}
	}()
	if !ok {
		return read()
	}
	main, extra := os.DevNull, ""
	if len(files) > 0 {
		main = name(files[0])
	}
	if len(files) > 1 {
		extra = name(files[1])
	}
	restore := environ.Set(conf.EnvironmentName, main)
	restoreExtra := environ.Set(conf.EnvironmentName+"_OVERRIDE", extra)
	err := read()
	restoreExtra()
	restore()
	if err != nil {
		return read()
	}
	return nil
}

// plain returns what is left of the files, in memory; not ok if that cannot take their
// place.
func plain(conf configfile.File) (files []*os.File, ok bool) {
	if len(conf.Modules) > 0 {
		return nil, false // the library keeps their names
	}
	for item, err := range configfile.Read(&conf) {
		if err != nil {
			return files, false
		}
		data, err := io.ReadAll(io.LimitReader(item.Reader, maxFile+1))
		if err != nil || len(data) > maxFile {
			return files, false
		}
		left, ok := withoutComments(data)
		if !ok || len(left) > 0 && len(files) == 2 {
			return files, false
		}
		if len(left) == 0 {
			continue
		}
		f, err := inMemory(left)
		if err != nil {
			return files, false
		}
		files = append(files, f)
	}
	return files, true
}

// withoutComments drops the lines that are empty or a comment. It is not ok if a line
// may look so and be part of a string of several lines.
func withoutComments(toml []byte) (left []byte, ok bool) {
	for line := range bytes.Lines(toml) {
		switch text := bytes.TrimLeft(line, " \t\r\n"); {
		case len(text) == 0 || text[0] == '#':
		case bytes.Contains(text, []byte(`"""`)) || bytes.Contains(text, []byte(`'''`)):
			return nil, false
		default:
			left = append(left, line...)
		}
	}
	return left, true
}

func inMemory(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("containers.conf", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "containers.conf")
	if _, err := f.Write(data); err != nil {
		return nil, err
	}
	return f, nil
}

// name opens the file from its beginning.
func name(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) } //nolint:gosec // a descriptor
