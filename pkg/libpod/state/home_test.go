package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rootless-pod/pod/internal/process"
)

// TestHome opens one graph root from a second run directory while the first
// holds a run.
func TestHome(t *testing.T) {
	dead := process.Self()
	dead.Start++ // a recycled pid: the process is not the one recorded
	for name, tc := range map[string]struct {
		init    Process
		boot    string
		gone    bool
		link    bool
		refused bool
	}{
		"running":              {init: process.Self(), boot: "boot-1", refused: true},
		"its process is dead":  {init: dead, boot: "boot-1"},
		"of another boot":      {init: process.Self(), boot: "boot-0"},
		"run directory gone":   {init: process.Self(), boot: "boot-1", gone: true},
		"same directory, link": {init: process.Self(), boot: "boot-1", link: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, graph, first, second := t.Context(), t.TempDir(), t.TempDir(), t.TempDir()
			s := open(t, Options{GraphRoot: graph, RunDir: first, BootID: tc.boot})
			add(t, s, "one=1")
			must(t, s.SetRun(ctx, id("1"), &Run{Phase: PhaseRunning, Init: tc.init}))
			if tc.gone {
				must(t, os.RemoveAll(first))
			}
			if tc.link {
				second = filepath.Join(second, "link")
				must(t, os.Symlink(first, second))
			}
			for range 2 { // the second time it is not fresh any more
				other, err := Open(ctx, Options{GraphRoot: graph, RunDir: second, BootID: "boot-1"})
				var elsewhere ErrElsewhere
				if errors.As(err, &elsewhere) != tc.refused {
					t.Fatalf("Open: %v, refused should be %v", err, tc.refused)
				}
				if tc.refused {
					if elsewhere.Running != 1 || elsewhere.RunDir != first {
						t.Errorf("%+v", elsewhere)
					}
					continue
				}
				must(t, err)
				must(t, other.SetRun(ctx, id("1"), nil))
				must(t, other.Close())
			}
		})
	}
}
