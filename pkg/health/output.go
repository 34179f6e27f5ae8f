package health

import "sync"

// maxOutput bounds what is held of a check's output where the log has no bound.
const maxOutput = 1 << 20

// Output keeps the beginning of what a check writes and drops the rest.
type Output struct {
	mu    sync.Mutex
	limit uint
	kept  []byte
}

// NewOutput keeps size bytes; 0 is as many as are sensible.
func NewOutput(size uint) *Output {
	if size == 0 || size > maxOutput {
		size = maxOutput
	}
	return &Output{limit: size}
}

// Write implements io.Writer and takes all.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := int(o.limit) - len(o.kept); room > 0 { //nolint:gosec // at most maxOutput
		o.kept = append(o.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// String is what was kept.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.kept)
}
