package netavark

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rootless-pod/pod/internal/wholefile"
)

// Version of a netavark.
type Version struct {
	Major int `json:"major"`
	Minor int `json:"minor"`
}

// firewallNone is the first version that surely takes the firewall "none"; 1.4
// does not.
const firewallNone = 10

// TakesNone says whether the version can be told to write no rules.
func (v Version) TakesNone() bool { return v.Major > 1 || v.Minor >= firewallNone }

// answer is what is kept of a program.
type answer struct {
	Path  string `json:"path"`
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"`
	Version
}

const answerFile = "netavark-version.json"

// Ask returns the version of the netavark at path. Asking costs a process, so the
// answer is kept in dir until the program changes.
func Ask(ctx context.Context, path, dir string) (Version, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return Version{}, fmt.Errorf("netavark: %w", &os.PathError{Op: "stat", Path: path, Err: err})
	}
	want := answer{Path: path, Inode: st.Ino, Size: st.Size, MTime: st.Mtim.Nano()}
	file := filepath.Join(dir, answerFile)
	if data, err := os.ReadFile(file); err == nil {
		var known answer
		if json.Unmarshal(data, &known) == nil {
			want.Version = known.Version
			if known == want {
				return known.Version, nil
			}
		}
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Version{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	if want.Version, err = parseVersion(string(out)); err != nil {
		return Version{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	if data, err := json.Marshal(want); err == nil {
		_ = wholefile.Write(file, answerFile+".*", data) // losing it costs time only
	}
	return want.Version, nil
}

// parseVersion reads "netavark 1.14.0", with whatever follows the numbers.
func parseVersion(text string) (Version, error) {
	_, numbers, _ := strings.Cut(strings.TrimSpace(text), " ")
	major, rest, _ := strings.Cut(numbers, ".")
	minor, _, _ := strings.Cut(rest, ".")
	minor, _, _ = strings.Cut(minor, "-")
	var v Version
	var err error
	if v.Major, err = strconv.Atoi(major); err == nil {
		v.Minor, err = strconv.Atoi(minor)
	}
	if err != nil {
		return Version{}, fmt.Errorf("it says %q", strings.TrimSpace(text))
	}
	return v, nil
}
