package health

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// clock makes entries a second apart.
type clock struct{ now time.Time }

func (c *clock) entry(code int) Entry {
	c.now = c.now.Add(time.Second)
	return Entry{Start: c.now, End: c.now.Add(time.Millisecond), ExitCode: code}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	startup := func(successes, retries uint) *specgen.StartupCheck {
		return &specgen.StartupCheck{Test: []string{"CMD", "s"}, Successes: successes, Retries: retries}
	}
	tests := []struct {
		name   string
		health specgen.Health
		codes  string // of the checks, a second apart: . ok, x failed, t timed out, s stopped under it
		// what each check leads to: the first letter of the status, upper case when
		// something is pending
		want   string
		streak int
	}{
		{"healthy at once", specgen.Health{}, "..", "hh", 0},
		{"three failures by default", specgen.Health{}, "xxxx", "ssuu", 4},
		{"a timeout is a failure", specgen.Health{Retries: 1}, "t", "u", 1},
		{"healthy again", specgen.Health{Retries: 2}, "xx.x.xx", "suhhhhu", 2},
		{"healthy until the last retry", specgen.Health{}, ".xx", "hhh", 2},
		{"acts once", specgen.Health{Retries: 1, OnFailure: "kill"}, "xx", "Uu", 2},
		{"acts again after it was healthy", specgen.Health{Retries: 1, OnFailure: "stop"}, "x.x", "UhU", 1},
		{"nothing to do", specgen.Health{Retries: 1, OnFailure: ""}, "x", "u", 1},
		{"start period", specgen.Health{Retries: 1, StartPeriod: new(3 * time.Second)}, "xxx", "ssu", 1},
		{"healthy in the start period", specgen.Health{Retries: 1, StartPeriod: new(4 * time.Second)}, ".xxxx", "hhhuu", 2},
		{"ended under its check", specgen.Health{Retries: 1, OnFailure: "restart"}, ".s", "hs", 0},
		{"start-up gates", specgen.Health{Retries: 1, OnFailure: "kill", Startup: startup(0, 0)}, "xxxxx.x", "ssssshU", 1},
		{"start-up successes in a row", specgen.Health{Startup: startup(2, 0)}, ".x...", "sssh" + "h", 0},
		{"start-up retries", specgen.Health{Startup: startup(0, 2)}, "xxx", "sSs", 0},
		{"start-up failures in a row", specgen.Health{Startup: startup(2, 2)}, "x.xx", "sssS", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &clock{now: time.Unix(1000, 0)}
			s := Begin(c.now)
			var got strings.Builder
			for _, code := range tt.codes {
				e := c.entry(map[rune]int{'.': CodeOK, 'x': CodeFailed, 't': CodeTimeout, 's': CodeFailed}[code])
				s.Record(&tt.health, e, code == 's')
				letter := string(s.Status[0])
				if s.Pending != "" {
					letter = strings.ToUpper(letter)
				}
				got.WriteString(letter)
				s.Pending = ""
			}
			if got.String() != tt.want || s.FailingStreak != tt.streak {
				t.Errorf("%s gives %s, streak %d; want %s, %d", tt.codes, got.String(), s.FailingStreak, tt.want, tt.streak)
			}
		})
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	for action, h := range map[string]specgen.Health{
		"kill":    {Retries: 1, OnFailure: "kill"},
		"stop":    {Retries: 1, OnFailure: "stop"},
		"restart": {Retries: 1, OnFailure: "restart"},
		"":        {Retries: 1, OnFailure: "none"},
	} {
		s := Begin(time.Unix(1, 0))
		s.Record(&h, Entry{Start: time.Unix(2, 0), ExitCode: 1}, false)
		if s.Pending != action {
			t.Errorf("pending is %q, want %q", s.Pending, action)
		}
	}
	// A start-up check restarts, whatever the action is.
	h := specgen.Health{OnFailure: "kill", Startup: &specgen.StartupCheck{Test: []string{"x"}, Retries: 1}}
	s := Begin(time.Unix(1, 0))
	s.Record(&h, Entry{Start: time.Unix(2, 0), ExitCode: 1}, false)
	if s.Pending != specgen.OnFailureRestart {
		t.Errorf("a start-up check that fails leads to %q", s.Pending)
	}
}

func TestLogBounds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                string
		count, size         *uint
		wantCount, wantSize int
	}{
		{"defaults", nil, nil, 5, 500},
		{"own", new(uint(2)), new(uint(3)), 2, 3},
		{"none", new(uint(0)), new(uint(0)), 9, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := specgen.Health{MaxLogCount: tt.count, MaxLogSize: tt.size}
			s := Begin(time.Unix(1, 0))
			for i := range 9 {
				s.Record(&h, Entry{Start: time.Unix(int64(10+i), 0), Output: strings.Repeat("x", 1000)}, false)
			}
			if len(s.Log) != tt.wantCount || len(s.Log[0].Output) != tt.wantSize {
				t.Errorf("%d entries of %d bytes, want %d of %d", len(s.Log), len(s.Log[0].Output), tt.wantCount, tt.wantSize)
			}
			if last := s.Log[len(s.Log)-1].Start.Unix(); last != 18 {
				t.Errorf("the last entry is %d", last)
			}
		})
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "health.json")
	if s, err := Load(path); err != nil || s.Status != "" {
		t.Fatalf("without a file: %+v, %v", s, err)
	}
	began := time.Now()
	s := Begin(began)
	s.Record(&specgen.Health{Retries: 1, OnFailure: "kill"}, Entry{Start: began.Add(time.Second), ExitCode: 1, Output: "a\x00b\xff"}, false)
	for range 2 {
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(path)
	if err != nil || !got.Run.Equal(began) || got.Status != Unhealthy || got.Pending != "kill" || len(got.Log) != 1 || got.Log[0].Output != "a\x00b�" {
		t.Errorf("read back %+v, %v", got, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left beside the file: %v, %v", entries, err)
	}
	// For the user: the field's keys alone.
	if err := s.SaveResults(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(data), "Pending") || !strings.HasPrefix(string(data), `{"Status":"unhealthy","FailingStreak":1,"Log":[{"Start":`) {
		t.Errorf("results: %s, %v", data, err)
	}
	// Damaged is as good as none.
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Load(path); err != nil || s.Status != "" {
		t.Errorf("damaged: %+v, %v", s, err)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	o := NewOutput(5)
	for _, s := range []string{"abc", "def", "ghi"} {
		if n, err := o.Write([]byte(s)); n != 3 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if o.String() != "abcde" {
		t.Errorf("kept %q", o.String())
	}
	if o := NewOutput(0); o.limit != maxOutput {
		t.Errorf("without a bound %d are kept", o.limit)
	}
}
