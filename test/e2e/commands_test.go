package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

func commands() map[string]command {
	return map[string]command{
		"canary":      canaryCommand,
		"clean":       clean,
		"code":        code,
		"hostile":     hostileCommand,
		"http":        httpCommand,
		"image":       imageCommand,
		"keep":        keep,
		"lines":       lines,
		"look":        lookCommand,
		"oneline":     oneLine,
		"pack":        packCommand,
		"parallel":    parallel,
		"peer":        peer,
		"registry":    registryCommand,
		"require":     require,
		"survive":     survive,
		"tty":         ttyCommand,
		"units":       units,
		"waitfor":     waitFor,
		"walk":        walk,
		"walkpull":    walkPull,
		"walkruntime": walkRuntime,
		"volplugin":   volPlugin,
		"wicked":      wickedCommand,
	}
}

// code N CMD... runs CMD, which must exit with N; 128+S stands for a signal.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, err := exitCode(ts.Exec(args[1], args[2:]...))
	ts.Check(err)
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// patience is how long a script waits for what is bound to come: machines are slow at
// times, and how fast pod is is the bench's matter.
const patience = time.Minute

// waitfor [!] CMD... runs CMD until it succeeds (with !: fails).
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	wantFailure := false
	if len(args) > 0 && args[0] == "!" {
		wantFailure, args = true, args[1:]
	}
	if neg || len(args) == 0 {
		ts.Fatalf("usage: waitfor [!] COMMAND...")
	}
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = ts.Exec(args[0], args[1:]...); (err != nil) == wantFailure {
			return
		}
	}
	ts.Fatalf("not within %s: %v", patience, err)
}

// parallel N CMD... runs N copies of CMD at once; all must succeed.
func parallel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: parallel N COMMAND...")
	}
	const script = `n=$1; shift; pids=
		while [ "$n" -gt 0 ]; do "$@" & pids="$pids $!"; n=$((n - 1)); done
		bad=0
		for p in $pids; do wait "$p" || bad=$((bad + 1)); done
		[ $bad = 0 ] || { echo "$bad failed" >&2; exit 1; }`
	ts.Check(ts.Exec("sh", append([]string{"-c", script, "parallel"}, args...)...))
}

// keep NAME puts the last command's output, without the final newline, into $NAME.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keep NAME")
	}
	ts.Setenv(args[0], strings.TrimRight(ts.ReadFile("stdout"), "\r\n"))
}

// lines N asserts that the last command wrote N lines to stdout.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lines N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile("stdout"), "\n"); got != want {
		ts.Fatalf("%d lines on stdout, want %d", got, want)
	}
}

// progress are the lines that a pull may write before it fails.
var progress = regexp.MustCompile(`^(Trying to pull|Resolved|Getting|Copying|Writing|Pulling) `)

// oneline asserts that stderr is, after the progress of a pull, one line that
// begins "Error: ", as every error shown to a user, and that stdout is empty.
func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: oneline")
	}
	shown := slices.Collect(strings.Lines(ts.ReadFile("stderr")))
	for len(shown) > 0 && progress.MatchString(shown[0]) {
		shown = shown[1:]
	}
	if len(shown) != 1 || !strings.HasPrefix(shown[0], "Error: ") || !strings.HasSuffix(shown[0], "\n") {
		ts.Fatalf("stderr is not one line that begins with Error:")
	}
	if ts.ReadFile("stdout") != "" {
		ts.Fatalf("an error, but also output on stdout")
	}
}

// clean asserts that no process and no mount of this script's store is left.
func clean(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: clean")
	}
	ts.Check(boxOf(ts).awaitClean())
}

// peer CMD... runs podman or buildah on the same store.
func peer(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: [!] peer COMMAND...")
	}
	// Older ones do not take both roots from storage.conf.
	conf := "CONTAINERS_CONF=" + ts.Getenv("BASE") + "/podman.conf"
	words := []string{conf, args[0], "--root", ts.Getenv("BASE") + "/root", "--runroot", ts.Getenv("RUNROOT")}
	err := ts.Exec("env", append(words, args[1:]...)...)
	if (err != nil) != neg {
		ts.Fatalf("%s: %v", args[0], err)
	}
}

// http METHOD URL puts the reply's body on stdout. While nobody listens it
// tries again; with ! nobody may listen.
func httpCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] http METHOD URL")
	}
	end := time.Now().Add(patience)
	for {
		body, err := fetch(args[0], args[1])
		switch {
		case err == nil && !neg:
			_, _ = io.WriteString(ts.Stdout(), body)
			return
		case err == nil:
			ts.Fatalf("%s answers", args[1])
		case neg:
			return
		case time.Now().After(end):
			ts.Fatalf("%v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func fetch(method, url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return "", err
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s", method, url, reply.Status)
	}
	return string(body), err
}
