package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func run3() *report {
	return &report{
		head: head{Time: time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC), Machine: "2 x CPU", Tools: "pod 1; podman 2", Rounds: 20},
		Results: []result{
			{
				Name: "exec", Unit: "ms", Limit: 0.30, Ratio: 0.2512345,
				Samples: map[string][]float64{podName: {45.123, 44.98}, podmanName: {180.04}},
				Medians: map[string]float64{podName: 45.05, podmanName: 180.04},
			},
			{Name: "stop", Unit: "ms", Limit: 0.35, Ratio: 0.36, Medians: map[string]float64{podName: 36, podmanName: 100}},
			{Name: "TCP", Unit: "s/GB", Ratio: 0.0002, Medians: map[string]float64{podName: 0.0123456, podmanName: 55}},
			{Name: "broken", Unit: "ms", Error: "no"},
		},
		Starts: runs(),
	}
}

func TestTable(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"1.json", "2.json"} {
		files = append(files, filepath.Join(dir, name))
		if err := run3().write(files[len(files)-1]); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := table(files, "", &out); err != nil {
		t.Fatal(err)
	}
	const want = `1. 22 November 2026 18:00 UTC, 20 rounds; 2 x CPU
2. 22 November 2026 18:00 UTC, 20 rounds; 2 x CPU

pod 1; podman 2.

| case | unit | pod | podman | ratio 1 | ratio 2 | at most |
|---|---|---|---|---|---|---|
| exec | ms | 45.1 | 180.0 | 0.25 | 0.25 | 0.30 |
| stop | ms | 36.0 | 100.0 | **0.36** | **0.36** | 0.35 |
| TCP | s/GB | 0.01 | 55.0 | < 0.01 | < 0.01 |  |
| broken | | | | failed | failed | |
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("before\n"+tableBegin+"old\n"+tableEnd+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := table(files, page, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != "before\n"+tableBegin+want+tableEnd+"after\n" {
		t.Errorf("the page is\n%s", got)
	}
	if _, err := insert("nothing", "x"); err == nil || !strings.Contains(err.Error(), "made by") {
		t.Errorf("a page without the lines: %v", err)
	}
}

// TestFile shows that a report survives its file, rounded.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	if err := run3().write(path); err != nil {
		t.Fatal(err)
	}
	r, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	exec := r.find("exec")
	if got := exec.Samples[podName]; got[0] != 45.1 || got[1] != 45 {
		t.Errorf("samples are %v", got)
	}
	if exec.Ratio != 0.2512 || r.find("TCP").Medians[podName] != 0.0123 || r.Rounds != 20 || len(r.Starts) != 2 {
		t.Errorf("read %+v", r)
	}
}

func TestGrowth(t *testing.T) {
	// A machine that becomes slower from call to call, and a store that costs half as much again.
	slower := 0.0
	got, err := growthOf(func(full bool) (float64, error) {
		slower += 10
		if full {
			return 150 + 1.5*slower, nil
		}
		return 100 + slower, nil
	})
	if err != nil || got != 1.5 {
		t.Errorf("growth %v, %v", got, err)
	}
	if _, err := growthOf(func(bool) (float64, error) { return 0, os.ErrInvalid }); err == nil {
		t.Error("growth without its parts")
	}
}
