package process

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Children returns the processes whose parent has pid now. It looks at all
// processes, since not every kernel lists children: for recovery only.
func Children(pid int) []ID {
	return find(func(_ ID, st stat) bool { return st.parent == pid })
}

// Session returns the processes of the session that pid leads or led. It looks at
// all processes, as Children does.
func Session(pid int) []ID {
	if pid <= 0 {
		return nil // that of kernel threads
	}
	return find(func(_ ID, st stat) bool { return st.session == pid })
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

// Parent is the process whose child pid is; 0 if there is none.
func Parent(pid int) int {
	st, err := readStat(pid)
	if err != nil {
		return 0
	}
	return st.parent
}

// Numbers are the pids of a process in its PID namespaces, from that of this /proc to its own;
// one that nobody has waited for still has them.
func Numbers(pid int) ([]string, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return strings.Fields(numbers), nil
		}
	}
	return nil, nil
}

// Arguments are the command line of a process, its own word for what it is: nil for
// one that is gone and for kernel threads.
func Arguments(pid int) []string {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil || len(line) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
}

// FindArguments returns the processes whose command line matches. It looks at all
// processes, as Children does. The identity is taken first: a pid that is another's by
// the time its command line is read is found out when it is used.
func FindArguments(match func(who ID, args []string) bool) []ID {
	return find(func(who ID, _ stat) bool { return match(who, Arguments(who.PID)) })
}

// Daemon is the process whose pid a program has written into a file; the zero ID if
// there is none.
func Daemon(pidFile string) ID {
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return ID{}
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 1 {
		return ID{}
	}
	id, err := Of(pid)
	if err != nil {
		return ID{}
	}
	return id
}

// find returns the processes that match.
func find(match func(who ID, st stat) bool) []ID {
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
		st, err := readStat(pid)
		if who := (ID{PID: pid, Start: st.start}); err == nil && match(who, st) {
			found = append(found, who)
		}
	}
	return found
}
