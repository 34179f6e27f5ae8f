package pasta

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rootless-pod/pod/internal/wholefile"
)

// features is what is known of one pasta program.
type features struct {
	Path  string `json:"path"`
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"`
	// MapGuest: it knows --map-guest-addr (2024-08 and later; Debian 12's not).
	MapGuest bool `json:"map_guest_addr"`
}

const featuresFile = "pasta-features.json"

// MapsGuest says whether the pasta at path is new enough for --map-guest-addr.
func MapsGuest(ctx context.Context, path, dir string) (bool, error) {
	if path == "" {
		return false, nil
	}
	known, err := detect(ctx, path, dir)
	return known.MapGuest, err
}

// detect says what the pasta at path can do. Asking it costs a process, so the
// answer is kept in dir until the program changes.
func detect(ctx context.Context, path, dir string) (features, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return features{}, fmt.Errorf("pasta: %w", &os.PathError{Op: "stat", Path: path, Err: err})
	}
	want := features{Path: path, Inode: st.Ino, Size: st.Size, MTime: st.Mtim.Nano()}
	file := filepath.Join(dir, featuresFile)
	if data, err := os.ReadFile(file); err == nil {
		var known features
		if json.Unmarshal(data, &known) == nil {
			want.MapGuest = known.MapGuest
			if known == want {
				return known, nil
			}
		}
	}
	// The exit status of --help is 1 in old versions, 0 in new ones.
	out, err := exec.CommandContext(ctx, path, "--help").CombinedOutput()
	if len(out) == 0 && err != nil {
		return features{}, fmt.Errorf("ask %s for its options: %w", path, err)
	}
	want.MapGuest = strings.Contains(string(out), "--map-guest-addr")
	keep(file, want)
	return want, nil
}

// keep writes what detect found. Losing it costs only time, so faults are not
// reported; the rename keeps readers from a half-written file.
func keep(file string, f features) {
	data, err := json.Marshal(f)
	if err != nil {
		return
	}
	_ = wholefile.Write(file, featuresFile+".*", data)
}
