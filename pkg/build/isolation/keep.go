package isolation

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/wholefile"
)

// key is what an answer depends on: the boot, the namespaces that pod is in (a
// container started anew with other options has others), its privileges, and the
// runtime.
type key struct {
	Boot       string   `json:"boot"`
	Namespaces []string `json:"namespaces"`
	Runtime    string   `json:"runtime"`
	Inode      uint64   `json:"inode"`
	Changed    int64    `json:"changed"`
	Args       []string `json:"args,omitempty"`
}

type answer struct {
	Key   key   `json:"key"`
	Found Found `json:"found"`
}

const keptFile = "isolation.json"

func keyOf(host Host) (key, error) {
	boot, err := process.BootID()
	if err != nil {
		return key{}, fmt.Errorf("try the isolation: %w", err)
	}
	k := key{Boot: boot, Runtime: host.Runtime, Args: host.RuntimeArgs}
	for _, name := range []string{"user", "mnt", "pid", "net"} {
		link, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			return key{}, fmt.Errorf("try the isolation: %w", err)
		}
		k.Namespaces = append(k.Namespaces, link)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(host.Runtime, &st); err != nil {
		return key{}, fmt.Errorf("OCI runtime: %w", &os.PathError{Op: "stat", Path: host.Runtime, Err: err})
	}
	k.Inode, k.Changed = st.Ino, st.Ctim.Nano()
	return k, nil
}

func (k key) equal(o key) bool {
	return k.Boot == o.Boot && k.Runtime == o.Runtime && k.Inode == o.Inode && k.Changed == o.Changed &&
		slices.Equal(k.Namespaces, o.Namespaces) && slices.Equal(k.Args, o.Args)
}

// recall finds a kept answer to the same question. A file that cannot be read, or
// not understood, is none.
func recall(dir string, k key) (Found, bool) {
	data, err := os.ReadFile(filepath.Join(dir, keptFile))
	if err != nil {
		return Found{}, false
	}
	var a answer
	if json.Unmarshal(data, &a) != nil || !a.Key.equal(k) {
		return Found{}, false
	}
	return a.Found, true
}

// keep writes an answer by rename. Losing it costs another try only, so faults are
// not reported.
func keep(dir string, k key, f Found) {
	data, err := json.Marshal(answer{Key: k, Found: f})
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	_ = wholefile.Write(filepath.Join(dir, keptFile), keptFile+".*", data)
}
