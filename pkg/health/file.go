package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/wholefile"
)

// maxFile bounds what is read of a file of results: a user may have asked for a
// log without bounds.
const maxFile = 32 << 20

// Load reads the state in a file; one that is not there gives the zero State. So
// does one that cannot be understood: the next check writes it anew.
func Load(path string) (State, error) {
	var s State
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read results of health checks: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return s, fmt.Errorf("read results of health checks: %w", err)
	}
	if json.Unmarshal(data, &s) != nil {
		return State{}, nil
	}
	return s, nil
}

// Save writes the state; readers see the old file or the new one. It is not
// synced: it ends with the boot.
func (s *State) Save(path string) error { return save(path, s) }

// SaveResults writes what inspect shows, for the user.
func (s *State) SaveResults(path string) error { return save(path, s.Results) }

func save(path string, what any) error {
	data, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encode results of health checks: %w", err)
	}
	if err := wholefile.Write(path, ".health-*", data); err != nil {
		return fmt.Errorf("write results of health checks: %w", err)
	}
	return nil
}
