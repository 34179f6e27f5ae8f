// Package sysmon quiets the thread of Go's runtime that watches the others.
package sysmon

// #cgo LDFLAGS: -Wl,--wrap=pthread_create
// void pod_sysmon_relaxed(unsigned long slack);
import "C"

import (
	"fmt"
	"os"
	"strconv"
)

// slack is how much later than asked the thread may be woken, in nanoseconds. It asks for
// 20 microseconds while anything runs, to take processors from threads in system calls.
const slack = 1000000

// Relax lets the kernel wake the thread when it wakes for something else, or a millisecond
// late: 3 of 54 ms of processor time of a short run. It is not for programs that work
// with more goroutines than processors and block in system calls, which would wait that
// long for each other. It needs CAP_SYS_NICE in the user namespace.
//
// Children and threads take over the slack of the thread that starts them. Only this one gets
// any: it runs no goroutine, and sysmon.c sees to it that its threads begin without.
func Relax() error {
	tid, err := thread()
	if err != nil {
		return fmt.Errorf("find the runtime's watching thread: %w", err)
	}
	// proc(5). The file of a thread is not below task.
	f, err := os.OpenFile("/proc/"+tid+"/timerslack_ns", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	C.pod_sysmon_relaxed(slack) // before it can start one with it
	_, err = f.WriteString(strconv.Itoa(slack))
	return err
}

// thread is the first that was started: runtime.main starts this one before all others. The
// kernel lists threads in that order, whatever their numbers.
func thread() (string, error) {
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return "", err
	}
	defer dir.Close()
	tids, err := dir.Readdirnames(2)
	if err != nil {
		return "", err
	}
	if len(tids) != 2 || tids[0] != strconv.Itoa(os.Getpid()) {
		return "", fmt.Errorf("threads %q", tids)
	}
	return tids[1], nil
}
