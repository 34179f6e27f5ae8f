package libpod

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/psformat"
)

func TestParseProc(t *testing.T) {
	const rest = ") S 7 8 9 34819 8 4194304 1 0 0 0 150 50 0 0 20 5 1 0 12345 2260992 1 18446744073709551615"
	tests := []struct {
		name, line, comm string
		bad              bool
	}{
		{name: "plain", line: "42 (sleep" + rest, comm: "sleep"},
		{name: "a name that imitates the rest", line: "42 (a) S 1 1 (b) (" + rest, comm: "a) S 1 1 (b) ("},
		{name: "an empty name", line: "42 (" + rest, comm: ""},
		{name: "short", line: "42 (sleep) S 7", bad: true},
		{name: "no name", line: "42 sleep S 7", bad: true},
		{name: "no number", line: strings.Replace("42 (sleep"+rest, "12345", "x", 1), bad: true},
		{name: "empty", line: "", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := parseProc(42, []byte(tt.line))
			if tt.bad {
				if err == nil {
					t.Fatalf("read %+v", p)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.comm != tt.comm || p.ppid != 7 || p.pgid != 8 || p.ticks != 200 || p.nice != "5" || p.start != 12345 ||
				p.vsize != 2260992 || p.state != "S" || ttyName(p.tty) != "pts/3" {
				t.Fatalf("%+v, tty %s", p, ttyName(p.tty))
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	p := &proc{status: parseStatus([]byte("Name:\tx y\nNSpid:\t4711\t12\t1\nGroups:\t\nUid:\t0\t33\t0\t0\nbroken\n"))}
	if p.at("NSpid", 1) != "12" || p.at("Uid", 1) != "33" || p.at("NSpid", 3) != "" || p.at("NSpid", -1) != "" || len(p.status["Groups"]) != 0 {
		t.Fatalf("%v", p.status)
	}
}

func TestBelongs(t *testing.T) {
	// 10 is the container's first process, 12 made a namespace of its own below;
	// 20 is a stranger, 30 and 31 are each other's parents by a recycled pid.
	parents := map[int]int{1: 0, 10: 1, 11: 10, 12: 11, 13: 12, 20: 1, 30: 31, 31: 30}
	members := map[int]bool{10: true, 11: true}
	var got []int
	for pid := range parents {
		if belongs(pid, members, parents) {
			got = append(got, pid)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, []int{10, 11, 12, 13}) {
		t.Fatalf("%v", got)
	}
}

func TestColumns(t *testing.T) {
	tests := []struct {
		wanted []string
		want   string
	}{
		{nil, "user pid ppid pcpu etime tty time args"},
		{[]string{"pid,user", "args"}, "pid user args"},
		{[]string{"%p", "%C"}, "pid pcpu"},
		{[]string{" pid , comm"}, "pid comm"},
	}
	for _, tt := range tests {
		chosen, err := columns(tt.wanted)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range chosen {
			got = append(got, d.name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q: %q, want %q", tt.wanted, got, tt.want)
		}
	}
	for _, args := range [][]string{{"aux"}, {"-eo", "pid,%mem"}, {"-o", strings.Join(psformat.Keywords(), ",")}} {
		if _, err := columns(args); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	for _, bad := range [][]string{{"-eo", "nope"}, {"-Z"}, {"pid", "nope"}} {
		if _, err := columns(bad); err == nil || !strings.Contains(err.Error(), "ps") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestIDRanges(t *testing.T) {
	r := idRanges{{0, 1, 1000}, {1000, 0, 1}, {1001, 1001, 64536}}
	for outside, inside := range map[string]string{"0": "1000", "1": "0", "33": "32", "1000": "999", "1001": "1001", "70000": "70000", "x": "x"} {
		if got := r.inner(outside); got != inside {
			t.Errorf("%s inside is %s, want %s", outside, got, inside)
		}
		if got := r.outer(inside); got != outside {
			t.Errorf("%s outside is %s, want %s", inside, got, outside)
		}
	}
	if got := idRanges(nil).inner("5"); got != "5" {
		t.Errorf("without ranges: %s", got)
	}
}

func TestCapNames(t *testing.T) {
	for hex, want := range map[string]string{"0": "none", "0000000000000003": "CHOWN,DAC_OVERRIDE", "ffffffffffffffff": "full", "x": "?"} {
		if got := capNames(hex); got != want {
			t.Errorf("%s: %s, want %s", hex, got, want)
		}
	}
}

// TestTop looks at this test and a child of it as if they were a container.
func TestTop(t *testing.T) {
	child := exec.CommandContext(t.Context(), "cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = child.Wait()
	}()
	c := record(1, "c", runs(state.PhaseRunning))
	c.Spec.Spaces.PID = "host"
	e := viewEngine(t, c, record(2, "rested", nil))
	rows, err := e.Top(t.Context(), "c", []string{"hpid,ppid,pid", "comm"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(rows[0], " ") != "HPID PPID PID COMMAND" {
		t.Errorf("headings %q", rows[0])
	}
	parent, pid := strconv.Itoa(os.Getpid()), strconv.Itoa(child.Process.Pid)
	var me, kid []string
	for _, row := range rows[1:] {
		switch row[0] {
		case parent:
			me = row
		case pid:
			kid = row
		}
	}
	if me == nil || kid == nil {
		t.Fatalf("no row of %s and %s in %q", parent, pid, rows)
	}
	if me[1] != "0" { // its parent is not of the container
		t.Errorf("parent of the first process: %q", me)
	}
	if kid[1] != me[2] || kid[3] != "cat" {
		t.Errorf("child %q of %q", kid, me)
	}
	if _, err := e.Top(t.Context(), "rested", nil); !errors.Is(err, ErrStateImproper) {
		t.Errorf("top of a container at rest: %v", err)
	}
	all, err := e.Top(t.Context(), "c", TopDescriptors())
	if err != nil || slices.Contains(all[1], "") && !slices.Contains(all[0], "GROUPS") {
		t.Errorf("every descriptor: %q, %v", all, err)
	}
}
