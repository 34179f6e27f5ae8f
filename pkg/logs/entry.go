package logs

import (
	"bytes"
	"time"
)

// parseLine reads "TIME stdout|stderr F|P DATA" without its newline.
func parseLine(raw []byte) (Line, bool) {
	stamp, rest, ok1 := bytes.Cut(raw, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	flag, data, _ := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || len(flag) == 0 {
		return Line{}, false
	}
	known := string(stream) == "stdout" || string(stream) == "stderr"
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil || !known {
		return Line{}, false
	}
	return Line{Time: at, Stderr: string(stream) == "stderr", Partial: flag[0] == 'P', Data: data}, true
}

func index(stderr bool) int {
	if stderr {
		return 1
	}
	return 0
}
