package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// sample is what cachegrind writes, shortened.
const sample = `desc: I1 cache:
cmd: pod run
events: Ir
fl=???
fn=runtime.mallocgc
0 600000
fn=encoding/json.(*Decoder).Decode
12 100000
13 50000
fn=github.com/rootless-pod/pod/pkg/libpod.(*Engine).Run
0 200000
fn=slices.pdqsort[go.shape.struct { a/b.c string }]
0 20000
fl=file.c
fn=strlen
0 20000
fn=pthread_mutex_lock@@GLIBC_2.2.5
0 10000
summary: 1000000
`

func TestParse(t *testing.T) {
	p, err := parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	got := p.packages()
	for name, want := range map[string]int64{
		"runtime": 600000, "encoding/json": 150000, "github.com/rootless-pod/pod/pkg/libpod": 200000, "slices": 20000, native: 30000,
	} {
		if got[name] != want {
			t.Errorf("%s has %d, want %d", name, got[name], want)
		}
	}
	if p.total != 1000000 || len(got) != 5 {
		t.Errorf("total %d, packages %v", p.total, got)
	}
	for _, bad := range []string{"", "fn=a.b\n0 1\n", "fn=a.b\n0 x\nsummary: 1\n", "summary: many\n"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// fake counts the same for each command: in turn those of its list, then the last.
type fake struct {
	totals []int64
	with   toolchain
	calls  int
}

func (f *fake) toolchain() toolchain { return f.with }

func (f *fake) count(context.Context, command) (*profile, error) {
	n := f.totals[min(f.calls, len(f.totals)-1)]
	f.calls++
	return &profile{total: n, functions: map[string]int64{"runtime.main": n / 2, "a/b.c": n - n/2}}, nil
}

// recordOf is a record of a program that took n for each command.
func recordOf(n int64, with toolchain) *record {
	r := &record{Date: "2026-11-22", toolchain: with}
	for _, c := range commands() {
		r.Commands = append(r.Commands, recorded{Name: c.name, Instructions: n, Packages: map[string]int64{"runtime": n / 2, "a/b": n - n/2}})
	}
	return r
}

func TestCheck(t *testing.T) {
	const now = 40_000_000
	here := toolchain{Arch: "amd64", Go: "go1.26.8", Libc: "glibc 2.41", Valgrind: "valgrind-3.24.0"}
	older := here
	older.Go = "go1.25.1"
	for _, tc := range []struct {
		name   string
		want   *record
		totals []int64
		says   []string // nothing: it must pass
		prints string
	}{
		{name: "the same", want: recordOf(now, here), totals: []int64{now}, prints: "+0.0 %"},
		{name: "10 % more", want: recordOf(now, here), totals: []int64{now * 1.1}, prints: "+10.0 %"},
		{
			name: "recorded 11 % lower", want: recordOf(now*0.89, here), totals: []int64{now},
			says:   []string{"more than 10 % above", "2026-11-22", "pod run", "make instructions-update"},
			prints: "grew: runtime ",
		},
		{name: "11 % more", want: recordOf(now, here), totals: []int64{now * 1.11}, says: []string{"FAILED"}, prints: "a/b.c"},
		{name: "more once", want: recordOf(now, here), totals: []int64{now * 1.5, now}, prints: "+0.0 %"},
		{name: "much less", want: recordOf(now, here), totals: []int64{now / 2}, prints: "should be recorded"},
		{
			name: "another toolchain", want: recordOf(now, older), totals: []int64{now * 1.2},
			says: []string{"Recorded with go1.25.1, glibc 2.41", "this is go1.26.8", "it is the toolchain"},
		},
		{name: "another toolchain, the same number", want: recordOf(now, older), totals: []int64{now}},
		{name: "a new command", want: &record{}, totals: []int64{now}, says: []string{"nothing is recorded for pod version"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			err := check(t.Context(), tc.want, &fake{totals: tc.totals, with: here}, &out)
			if (err != nil) != (tc.says != nil) {
				t.Fatalf("error %v, output\n%s", err, &out)
			}
			for _, text := range tc.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("it does not say %q: %v", text, err)
				}
			}
			if !strings.Contains(out.String(), tc.prints) {
				t.Errorf("it does not print %q:\n%s", tc.prints, &out)
			}
		})
	}
	if err := check(t.Context(), records{*recordOf(now, here)}.of(toolchain{Arch: "arm64"}), &fake{}, nil); !errors.Is(err, errNothingRecorded) {
		t.Errorf("an architecture without numbers: %v", err)
	}
}

func TestGrown(t *testing.T) {
	p := &profile{total: 1_000_000, functions: map[string]int64{"a.f": 500_000, "a.g": 1000, "b.f": 300_000, "c.f": 2000, "d.f": 20_000}}
	got := p.grown(map[string]int64{"a": 400_000, "b": 300_000})
	if len(got) != 2 || got[0].name != "a" || got[0].now != 501_000 || strings.Join(got[0].top, " ") != "a.f a.g" || got[1].name != "d" {
		t.Errorf("grown: %+v", got)
	}
}

// TestRecorded holds the file in the repository against the commands.
func TestRecorded(t *testing.T) {
	all, err := load("recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	r := all.of(toolchain{Arch: "amd64"})
	if r == nil {
		t.Fatal("nothing is recorded for amd64")
	}
	var total int64
	for _, c := range r.Commands {
		for _, n := range c.Packages {
			total += n
		}
		if total > c.Instructions || total < c.Instructions/2 {
			t.Errorf("pod %s: %d instructions, and %d in packages", c.Name, c.Instructions, total)
		}
		total = 0
	}
	if len(r.Commands) != len(commands()) || r.Date == "" || r.Go == "" {
		t.Errorf("recorded: %+v", r)
	}
}
