package sysmon

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestThreads has the watching thread start others, which it does when goroutines sit in
// system calls: none of them has its slack, nor would their children.
func TestThreads(t *testing.T) {
	if err := Relax(); err != nil {
		t.Skipf("needs CAP_SYS_NICE: %v", err)
	}
	relaxed, err := thread()
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	const blocked = 64
	for range blocked {
		go func() { _, _ = syscall.Read(ends[0], make([]byte, 1)) }() // os.File would wait without a thread
	}
	defer syscall.Close(ends[1]) //nolint:errcheck // ends the reads
	for end := time.Now().Add(10 * time.Second); ; {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		if len(tasks) > blocked {
			for _, task := range tasks {
				if got := read(t, "/proc/"+task.Name()+"/timerslack_ns"); task.Name() != relaxed && got == strconv.Itoa(slack) {
					t.Errorf("thread %s has the slack of %s", task.Name(), relaxed)
				}
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d threads", len(tasks))
		}
	}
}
