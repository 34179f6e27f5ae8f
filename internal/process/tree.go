package process

import (
	"os"
	"strconv"
	"syscall"
)

// Children returns the processes whose parent has pid now. It looks at all
// processes, since not every kernel lists children: for recovery only.
func Children(pid int) []ID {
	return find(func(st stat) bool { return st.parent == pid })
}

// Session returns the processes of the session that pid leads or led. It looks at
// all processes, as Children does.
func Session(pid int) []ID {
	if pid <= 0 {
		return nil // that of kernel threads
	}
	return find(func(st stat) bool { return st.session == pid })
}

// SessionOf is the session that the process with pid is in; 0 if there is none.
func SessionOf(pid int) int {
	st, err := readStat(pid)
	if err != nil {
		return 0
	}
	return st.session
}

// StopTree stops a process, so that it makes no more children, and those below
// it; the caller itself, and what is below it, is left out.
func StopTree(who ID) []ID {
	if who.PID == os.Getpid() || who.Signal(syscall.SIGSTOP) != nil {
		return nil
	}
	all := []ID{who}
	for _, child := range Children(who.PID) {
		all = append(all, StopTree(child)...)
	}
	return all
}

// find returns the processes that match.
func find(match func(stat) bool) []ID {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what could be read is looked at
	var found []ID
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if st, err := readStat(pid); err == nil && match(st) {
			found = append(found, ID{PID: pid, Start: st.start})
		}
	}
	return found
}
