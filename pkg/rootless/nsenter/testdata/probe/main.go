// Probe enters pod's namespaces as pod does and prints where it is, for tests.
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/rootless/nsenter"
)

// report is what the tests read.
type report struct {
	Entry      rootless.Entry
	Session    *rootless.Session
	User, Mnt  uint64
	EUID, EGID int
	Groups     []int
	Dir        string
	Args       []string
	RuntimeDir string
	Configured string
	CgroupV2   bool
	Dumpable   int
	Error      string
}

func main() {
	os.Exit(run())
}

func run() int {
	entry := nsenter.Entry()
	entry.Umask = syscall.Umask(0o022)
	r := report{Entry: entry, Args: os.Args}
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	if command == "nothing" {
		return 0
	}
	if own, err := os.Executable(); err == nil && strings.HasPrefix(filepath.Base(own), "quick-") {
		err = rootless.HandOver(entry, os.Args)
		slog.Error(err.Error())
		return 1
	}
	var err error
	if command != "help" {
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		r.Session, err = rootless.Enter(context.Background(), entry, log)
	}
	switch {
	case err != nil:
	case command == "migrate":
		err = rootless.Migrate(context.Background(), r.Session)
	case command == "exec":
		err = rootless.Exec(os.Args[2:], os.Environ())
	}
	if err != nil {
		r.Error = err.Error()
	}
	r.User, r.Mnt = inode("/proc/self/ns/user"), inode("/proc/self/ns/mnt")
	r.EUID, r.EGID = os.Geteuid(), os.Getegid()
	r.Groups, _ = os.Getgroups()
	r.Dir, _ = os.Getwd()
	r.RuntimeDir, r.Configured = os.Getenv("XDG_RUNTIME_DIR"), os.Getenv("_CONTAINERS_USERNS_CONFIGURED")
	r.Dumpable, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	var st unix.Statfs_t
	r.CgroupV2 = unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
	if json.NewEncoder(os.Stdout).Encode(r) != nil || err != nil {
		return 1
	}
	return 0
}

func inode(path string) uint64 {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}
