package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		events []string
		want   string
		says   []string
		hides  []string
	}{
		"a parent counts as its subtests": {
			events: []string{
				`{"Action":"run","Package":"p","Test":"A"}`,
				`{"Action":"run","Package":"p","Test":"A/x"}`,
				`{"Action":"run","Package":"p","Test":"A/y"}`,
				`{"Action":"pass","Package":"p","Test":"A/x"}`,
				`{"Action":"skip","Package":"p","Test":"A/y"}`,
				`{"Action":"pass","Package":"p","Test":"A"}`,
				`{"Action":"pass","Package":"p","Elapsed":1.5}`,
			},
			want: "1 passed, 0 failed, 1 skipped",
			says: []string{"pass p: 1 passed, 0 failed, 1 skipped (1.5s)"},
		},
		"output of a failed test is shown, of a passed one not": {
			events: []string{
				`{"Action":"run","Package":"p","Test":"A"}`,
				`{"Action":"output","Package":"p","Test":"A","Output":"quiet\n"}`,
				`{"Action":"pass","Package":"p","Test":"A"}`,
				`{"Action":"run","Package":"p","Test":"B"}`,
				`{"Action":"output","Package":"p","Test":"B","Output":"=== RUN   B\n"}`,
				`{"Action":"output","Package":"p","Test":"B","Output":"loud\n"}`,
				`{"Action":"fail","Package":"p","Test":"B"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want:  "1 passed, 1 failed, 0 skipped",
			says:  []string{"fail p B", "    loud"},
			hides: []string{"quiet", "=== RUN"},
		},
		"a build that fails is one failure": {
			events: []string{
				`{"Action":"build-output","ImportPath":"p [p.test]","Output":"x.go:1: bad\n"}`,
				`{"Action":"build-fail","ImportPath":"p [p.test]"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			},
			want: "0 passed, 1 failed, 0 skipped",
			says: []string{"x.go:1: bad"},
		},
		"a parent that fails by itself": {
			events: []string{
				`{"Action":"run","Package":"p","Test":"A"}`,
				`{"Action":"run","Package":"p","Test":"A/x"}`,
				`{"Action":"pass","Package":"p","Test":"A/x"}`,
				`{"Action":"output","Package":"p","Test":"A","Output":"leak\n"}`,
				`{"Action":"fail","Package":"p","Test":"A"}`,
			},
			want: "1 passed, 1 failed, 0 skipped",
			says: []string{"leak"},
		},
		"a binary that dies fails what was running": {
			events: []string{
				`{"Action":"run","Package":"p","Test":"A"}`,
				`{"Action":"output","Package":"p","Test":"A","Output":"half\n"}`,
				`testhost: killed`,
			},
			want: "0 passed, 1 failed, 0 skipped",
			says: []string{"p A (did not end)", "half", "testhost: killed"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			got, err := report(strings.NewReader(strings.Join(tc.events, "\n")+"\n"), &out, false)
			if err != nil || got.String() != tc.want {
				t.Errorf("got %v, %v; want %s\n%s", got, err, tc.want, out.String())
			}
			for _, s := range tc.says {
				if !strings.Contains(out.String(), s) {
					t.Errorf("does not say %q:\n%s", s, out.String())
				}
			}
			for _, s := range tc.hides {
				if strings.Contains(out.String(), s) {
					t.Errorf("says %q:\n%s", s, out.String())
				}
			}
		})
	}
}

func TestAddUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	if err := (&counts{Passed: 3, Skipped: 1}).save(one); err != nil {
		t.Fatal(err)
	}
	if err := (&counts{Passed: 2, Failed: 1}).save(two); err != nil {
		t.Fatal(err)
	}
	got, err := addUp([]string{one, two})
	if want := "5 passed, 1 failed, 1 skipped"; err != nil || got.String() != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if err := os.Remove(two); err != nil {
		t.Fatal(err)
	}
	got, err = addUp([]string{one, two})
	if err == nil || got.Failed != 1 {
		t.Errorf("a missing part: got %v, %v; want a failure and an error", got, err)
	}
}

func TestMend(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "counts")
	first := counts{Passed: 3, Failed: 2, failed: []string{"T/a", "T/b"}}
	if err := first.save(file); err != nil {
		t.Fatal(err)
	}
	if err := mend(file, &counts{passed: []string{"T/b", "T/c"}, failed: []string{"T/a"}}); err != nil {
		t.Fatal(err)
	}
	got, err := addUp([]string{file})
	if err != nil || got.String() != "4 passed, 1 failed, 0 skipped" || !slices.Equal(got.failed, []string{"T/a"}) ||
		!slices.Equal(got.unsteady, []string{"T/b"}) {
		t.Errorf("got %v (failed %q, unsteady %q), %v", got, got.failed, got.unsteady, err)
	}
}
