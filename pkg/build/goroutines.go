package build

import (
	"bytes"
	"runtime"
	"strings"
)

// stageFunction is what runs in the goroutine of each stage (buildah 1.45). Nothing
// else of the library tells which stages run.
const stageFunction = "imagebuildah.(*executor).buildStage("

// maxStacks bounds the text that goroutines are found in.
const maxStacks = 16 << 20

// stagesRunning are the goroutines that a stage is built in, but for those that wait for
// a lock: one that buildah's clean-up holds, which must not wait for them.
func stagesRunning() map[string]bool { return goroutinesIn(stageFunction) }

func goroutinesIn(function string) map[string]bool {
	running := map[string]bool{}
	for stack := range bytes.SplitSeq(stacks(), []byte("\n\n")) {
		head, _, _ := bytes.Cut(stack, []byte("\n"))
		if bytes.Contains(stack, []byte(function)) && !bytes.Contains(head, []byte("sync.Mutex.Lock")) {
			running[idOf(string(head))] = true
		}
	}
	return running
}

// stacks is the text of all goroutines' stacks, as a panic would print them.
func stacks() []byte {
	for size := 64 << 10; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size >= maxStacks {
			return buf[:n]
		}
	}
}

// goroutine is the id of this one.
func goroutine() string {
	buf := make([]byte, 64)
	return idOf(string(buf[:runtime.Stack(buf, false)]))
}

// idOf reads "goroutine 29 [running]:".
func idOf(head string) string {
	fields := strings.Fields(head)
	if len(fields) < 2 {
		return ""
	}
	return fields[1]
}
