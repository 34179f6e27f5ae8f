package output

import (
	"bytes"
	"fmt"
	"io"

	"github.com/rootless-pod/pod/pkg/libpod"
)

// changesJSON is the field's form of a list of changes.
type changesJSON struct {
	Changed []string `json:"changed,omitempty"`
	Added   []string `json:"added,omitempty"`
	Deleted []string `json:"deleted,omitempty"`
}

// Changes prints what diff found: a letter and a path each, or JSON.
func Changes(w io.Writer, changes []libpod.Change, format string) error {
	var out bytes.Buffer
	var all changesJSON
	for _, c := range changes {
		fmt.Fprintf(&out, "%s %s\n", c.Kind, c.Path)
		switch c.Kind {
		case libpod.Added:
			all.Added = append(all.Added, c.Path)
		case libpod.Changed:
			all.Changed = append(all.Changed, c.Path)
		case libpod.Deleted:
			all.Deleted = append(all.Deleted, c.Path)
		}
	}
	if IsJSON(format) {
		return JSON(w, all)
	}
	_, err := w.Write(out.Bytes())
	return err
}
