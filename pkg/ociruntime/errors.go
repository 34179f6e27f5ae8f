package ociruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rootless-pod/pod/internal/nested"
)

// Kind says what a runtime's error means to the caller.
type Kind int

// The kinds of errors.
const (
	KindOther         Kind = iota
	KindNotFound           // the command does not exist in the container: exit code 127
	KindNotExecutable      // the command cannot be executed: exit code 126
	KindNotRunning         // the container is not in the state the verb needs: it has ended, mostly
	KindNoContainer        // the runtime does not know the container
	KindCgroup             // a cgroup, or a limit in it, could not be set up
)

// Error is what an OCI runtime complained about.
type Error struct {
	Kind Kind
	// Runtime, Verb and ID say who was asked for what, on which container.
	Runtime, Verb, ID string
	// Message is the runtime's own, in one clean line.
	Message string
}

// Error returns one line without the verb, since callers know what they asked.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s", e.Runtime, e.Message)
}

// ExitCode is what a command that was to run in the container exits with: 127,
// 126, or 125 for everything that is not the command's fault.
func (e *Error) ExitCode() int {
	switch e.Kind {
	case KindNotFound:
		return 127
	case KindNotExecutable:
		return 126
	default:
		return 125
	}
}

// KindOf returns the kind of a runtime's error in err's chain, KindOther if
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindOther
}

// newError makes an Error of what a runtime wrote.
func newError(runtime, verb, id, text string) *Error {
	message := clean(text)
	kind := classify(message)
	if remedy := nested.Remedy(message); remedy != "" && kind == KindOther {
		message += " (" + remedy + ")"
	}
	return &Error{Kind: kind, Runtime: runtime, Verb: verb, ID: id, Message: message}
}

// logfmtMessage finds the message in a line of runc's log: time="…" level=error
// msg="…". Like all patterns here it is compiled when there is an error, not at
// every start of the program.
func logfmtMessage() *regexp.Regexp {
	return regexp.MustCompile(`\blevel=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)`)
}

// maxPlainLines bounds what is kept of an error that is no log line: a runtime
// that does not know a flag prints all it knows.
const maxPlainLines = 3

// clean turns a runtime's standard error into one line: the last log line that
// is an error, without time stamp, level and JSON around it; where there is no
// log line, the lines as they are.
func clean(text string) string {
	var logged string
	var plain []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		message, kind := unwrap(line)
		switch {
		case kind == logError, kind == logWarning && logged == "":
			logged = message
		case kind == notLogged && line != "" && len(plain) < maxPlainLines && !strings.HasPrefix(line, "Try `"):
			plain = append(plain, message)
		}
	}
	if logged != "" {
		return oneLine(logged)
	}
	return oneLine(strings.Join(plain, " "))
}

// lineKind says what unwrap found.
type lineKind int

const (
	notLogged lineKind = iota
	logWarning
	logError
)

// unwrap takes the message out of a line in runc's text or JSON log format or
// crun's JSON log.
func unwrap(line string) (message string, kind lineKind) {
	if strings.HasPrefix(line, "{") {
		var entry struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg != "" {
			return entry.Msg, levelKind(entry.Level)
		}
		return line, notLogged
	}
	if m := logfmtMessage().FindStringSubmatch(line); m != nil {
		message = m[2]
		if quoted, err := strconv.Unquote(message); err == nil {
			message = quoted
		}
		return message, levelKind(m[1])
	}
	return line, notLogged
}

// levelKind takes "fatal" for less than an error: it comes from runc's C part,
// whose lines hold only details of the error that follows.
func levelKind(level string) lineKind {
	if level == "error" || level == "" {
		return logError
	}
	return logWarning
}

// runcPrefix is what runc and runsc put before every reason.
func runcPrefix() *regexp.Regexp {
	return regexp.MustCompile(`^(?:(?:runc \w+|exec) failed: (?:unable to start container process: )?|` +
		`(?:starting container: starting root container: )?starting sandbox: (?:creating process: )?|` +
		`executing processes for container: executing command ".*" in sandbox: )`)
}

// oneLine joins lines and drops prefixes and control characters: the message
// may quote names out of an image, which must not steer a terminal.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0) {
			return -1
		}
		return c
	}, text)
	return runcPrefix().ReplaceAllString(strings.TrimPrefix(text, "error: "), "")
}

// kindPatterns are the wordings of crun 1.8 and 1.21, runc 1.1 and runsc, first match
// wins. Those of the command's own fault name the executable; a bind mount's
// missing source has other words around "No such file or directory".
func kindPatterns() []kindPattern {
	return []kindPattern{
		{KindNotFound, "^executable file .* not found"},
		{KindNotFound, `^exec: ".*": (executable file not found|stat .*: no such file or directory)`},
		{KindNotFound, `^error finding executable ".*": no such file or directory$`},
		{KindNotFound, `^error finding executable ".*" in PATH \[.*\]: no such file or directory$`},
		{KindNotFound, "^failed to load .*: no such file or directory$"},
		{KindNotExecutable, `^(failed to load .*|error finding executable .*): (permission denied|exec format error|not a directory|is a directory|too many levels of symbolic links)$`},
		{KindNotFound, "^(exec container process|exec) .*(No|no) such file or directory$"},
		{KindNotFound, "^chdir (to )?(cwd )?.*(No|no) such file or directory"},
		{KindNotExecutable, "^open executable: "},
		{KindNotExecutable, "^the path `.*` (is not a regular file|exists but it is not executable)"},
		{KindNotExecutable, "^cannot open `.*`: (Not a directory|Too many levels of symbolic links)$"},
		{KindNotExecutable, `^exec: ".*": `},
		{KindNotExecutable, "^exec( .*)?: ([Ee]xec format error|[Pp]ermission denied)$"},
		{KindNotExecutable, "^chdir (to )?(cwd )?.*([Pp]ermission denied|[Nn]ot a directory)"},
		{KindNoContainer, "^(error opening file|cannot open directory) [`'].*[`']: No such file or directory$"},
		{KindNoContainer, "container( .*)? does not exist"},
		{KindNotRunning, "exec.fifo`: No such file or directory$"},
		{KindNotRunning, "^setns"},
		{KindNotRunning, "error executing setns process"},
		{KindNotRunning, "(container|it) (`.*` )?(is )?not (in `created`( or `stopped`)? state|running)"},
		{KindNotRunning, "cannot (start|exec in|exec|pause) an? (already running|stopped) container"},
		{KindNotRunning, "cannot (start|exec in) a container that has stopped"},
		{KindNotRunning, "(No such process|process already finished)$"},
		{KindCgroup, `(?i)\bcgroup`},
	}
}

// kindPattern is a regular expression and what a message that it matches means.
type kindPattern struct {
	kind    Kind
	pattern string
}

// classify says what a cleaned message means.
func classify(message string) Kind {
	for _, k := range kindPatterns() {
		if regexp.MustCompile(k.pattern).MatchString(message) {
			return k.kind
		}
	}
	return KindOther
}
