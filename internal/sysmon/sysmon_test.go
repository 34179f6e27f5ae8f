package sysmon

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The thread that is found sleeps, which no other does, and none but it has slack.
func TestRelax(t *testing.T) {
	tid, err := thread()
	if err != nil {
		t.Fatal(err)
	}
	before := ownSlack(t)
	if err := Relax(); err != nil {
		t.Skipf("needs CAP_SYS_NICE: %v", err)
	}
	if got := read(t, "/proc/"+tid+"/timerslack_ns"); got != strconv.Itoa(slack) {
		t.Errorf("slack %s, want %d", got, slack)
	}
	if got := ownSlack(t); got != before {
		t.Errorf("slack of this thread is %d, was %d", got, before)
	}
	nanosleep := strconv.Itoa(unix.SYS_NANOSLEEP) + " "
	for end := time.Now().Add(10 * time.Second); !strings.HasPrefix(read(t, "/proc/self/task/"+tid+"/syscall"), nanosleep); {
		if time.Now().After(end) {
			t.Fatalf("thread %s does not sleep, but %s", tid, read(t, "/proc/self/task/"+tid+"/syscall"))
		}
	}
}

func ownSlack(t *testing.T) int {
	t.Helper()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return slack
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
