package checkpoint

import (
	"io"
	"strings"
)

// maxLog bounds what is read of a log.
const maxLog = 4 << 20

// Reason is the first error in a log of CRIU's that is one: those behind it only
// say that all else fails too, and that its own limits cannot be raised it says
// also when all goes well.
func Reason(log io.Reader) string {
	data, err := io.ReadAll(io.LimitReader(log, maxLog))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if _, text, ok := strings.Cut(line, " Error "); ok && !strings.Contains(text, "): rlimit: ") {
			return strings.TrimSpace(text)
		}
	}
	return ""
}
