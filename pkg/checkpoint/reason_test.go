package checkpoint

import (
	"strings"
	"testing"
)

func TestReason(t *testing.T) {
	const (
		limits = "(00.038500) Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n"
		tcp    = "(00.189621) Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using --tcp-established option.\n"
		end    = "(00.275052) Error (criu/cr-dump.c:2111): Dumping FAILED.\n"
	)
	for name, tc := range map[string]struct{ log, want string }{
		"empty":       {"", ""},
		"no error":    {"(00.1) Version: 4.1.1\n" + limits, ""},
		"first":       {limits + "(00.1) Warn  (x.c:1): y\n" + tcp + end, "(criu/sk-inet.c:191): inet: Connected TCP socket, consider using --tcp-established option."},
		"end alone":   {end, "(criu/cr-dump.c:2111): Dumping FAILED."},
		"a mere word": {"(00.1) pie: 5: Errors none\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Reason(strings.NewReader(tc.log)); got != tc.want {
				t.Errorf("Reason = %q, want %q", got, tc.want)
			}
		})
	}
}
