package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// gate stops the registry at one request, half way through its answer.
type gate struct {
	mu      sync.Mutex
	left    int // requests until the gate closes; 0: it stays open
	reached chan struct{}
	release chan struct{}
}

// close arms the gate for the n-th request from now.
func (g *gate) close(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.reached, g.release = n, make(chan struct{}), make(chan struct{})
}

// open lets a request that waits go on.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = 0
	close(g.release)
}

func (g *gate) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		hold := g.left == 1
		if g.left > 0 {
			g.left--
		}
		reached, release := g.reached, g.release
		g.mu.Unlock()
		if hold {
			w = &halfWriter{ResponseWriter: w, reached: reached, release: release}
			defer w.(*halfWriter).stop()
		}
		next.ServeHTTP(w, r)
	})
}

// halfWriter stops after the first half of the first piece of an answer.
type halfWriter struct {
	http.ResponseWriter
	reached, release chan struct{}
	once             sync.Once
}

func (w *halfWriter) Write(p []byte) (int, error) {
	half := len(p) / 2
	n, err := w.ResponseWriter.Write(p[:half])
	if err != nil {
		return n, err
	}
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	w.stop()
	m, err := w.ResponseWriter.Write(p[half:])
	return n + m, err
}

func (w *halfWriter) stop() {
	w.once.Do(func() {
		close(w.reached)
		<-w.release
	})
}

// walkpull [-after SH] pod ARGS... kills the command in the middle of each answer
// that it gets of the script's registry, as walk does at each step.
func walkPull(ts *testscript.TestScript, neg bool, args []string) {
	w := walker{ts: ts, box: boxOf(ts)}
	flags := flag.NewFlagSet("walkpull", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&w.after, "after", "", "")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() < 2 {
		ts.Fatalf("usage: walkpull [-after SH] pod ARGS...")
	}
	w.args = flags.Args()
	ts.Check(ts.Exec(w.args[0], w.args[1:]...))
	w.shell(w.after)
	ts.Check(w.alive())
	w.clean = w.settled(nil)
	var failed []string
	n := 0
	for {
		killed, err := w.pull(n + 1)
		if err != nil {
			failed = append(failed, fmt.Sprintf("request %d: %v", n+1, err))
			w.clean = w.settled(nil)
		}
		if !killed {
			break
		}
		n++
	}
	ts.Logf("killed at %d requests", n)
	if n < 3 {
		failed = append(failed, "fewer than 3 requests")
	}
	if len(failed) > 0 {
		ts.Fatalf("%s", strings.Join(failed, "\n"))
	}
}

// pull kills the command at its n-th request; false: it did not come to that.
func (w *walker) pull(n int) (killed bool, err error) {
	w.box.gate.close(n)
	cmd := exec.Command(w.args[0], w.args[1:]...)
	cmd.Env = w.environment()
	cmd.Dir = w.ts.MkAbs(".")
	if err := cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-w.box.gate.reached:
		killed = true
		err = cmd.Process.Kill()
		<-ended
	case err = <-ended:
	case <-time.After(patience):
		err = errors.Join(errors.New("it hangs"), cmd.Process.Kill())
	}
	w.box.gate.open()
	if err != nil {
		return killed, err
	}
	if err := w.ts.Exec("pod", "images", "-aq"); err != nil {
		return killed, fmt.Errorf("images: %w", err)
	}
	if err := w.ts.Exec("sh", "-ec", w.after); err != nil {
		return killed, fmt.Errorf("the script after it: %w", err)
	}
	if err := w.alive(); err != nil {
		return killed, err
	}
	return killed, w.settled(w.clean).diff(w.clean)
}

// environment is the script's own, which testscript tells to children only.
func (w *walker) environment() []string {
	w.ts.Check(w.ts.Exec("sh", "-c", `env -0 >"$BASE/env"`))
	return strings.Split(strings.TrimRight(w.ts.ReadFile(w.ts.Getenv("BASE")+"/env"), "\x00"), "\x00")
}
