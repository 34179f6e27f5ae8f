package psformat

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct{ args, want string }{
		{"-e", "PID TTY TIME CMD"},
		{"ax", "PID TTY STAT TIME COMMAND"},
		{"aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"},
		{"a u x", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"},
		{"-ef", "UID PID PPID C STIME TTY TIME CMD"},
		{"-o pid,comm", "PID COMMAND"},
		{"-opid -o ppid", "PID PPID"},
		{"-eo pid,tty", "PID TT"},
		{"o pid", "PID"},
		{"--format=pid,args", "PID COMMAND"},
		{"--format pid", "PID"},
		{"-o pid=Number,args", "Number,args"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			columns, err := Parse(strings.Fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range columns {
				got = append(got, c.Heading)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
	for _, bad := range []string{"-o", "-o nosuch", "--format", "--nosuch", "-u root", "-Z", "-O pid", "--no-headers", "-p 1"} {
		if got, err := Parse(strings.Fields(bad)); err == nil {
			t.Errorf("%s: got %v", bad, got)
		}
	}
}

// FuzzParse: whatever is given ends, and gives columns with known keywords.
func FuzzParse(f *testing.F) {
	f.Add("-eo pid=,x")
	f.Add("aux --format=pid")
	f.Fuzz(func(t *testing.T, line string) {
		columns, err := Parse(strings.Fields(line))
		if err != nil {
			return
		}
		for _, c := range columns {
			if headings()[c.Keyword] == "" {
				t.Errorf("column %q", c.Keyword)
			}
		}
	})
}
