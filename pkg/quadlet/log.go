package quadlet

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/journal"
)

// Log is where a generator's messages go. systemd shows nothing of what it prints: they
// go to the journal or, before there is one, to the kernel's log.
type Log struct {
	Name    string // of the generator
	Plain   bool   // only Err
	Verbose bool
	Err     io.Writer
	Journal string // its socket
	Kmsg    string // the kernel's log
}

// The priorities of syslog.
const (
	prioError   = 3
	prioWarning = 4
	prioInfo    = 6
	prioDebug   = 7
)

// Problem logs what is wrong with a file.
func (l *Log) Problem(p Problem) {
	if p.Warning {
		l.log(prioWarning, p.String())
		return
	}
	l.log(prioError, p.String())
}

// Error logs another failure.
func (l *Log) Error(text string) { l.log(prioError, text) }

// Info logs what is as it should be.
func (l *Log) Info(text string) { l.log(prioInfo, text) }

// Debug logs what only -v shows.
func (l *Log) Debug(text string) {
	if l.Verbose {
		l.log(prioDebug, text)
	}
}

func (l *Log) log(priority int, text string) {
	line := fmt.Sprintf("%s[%d]: %s", l.Name, os.Getpid(), text)
	if !l.Plain && (l.toJournal(priority, text) || l.toKmsg(priority, line)) {
		return
	}
	fmt.Fprintln(l.Err, line)
}

func (l *Log) toJournal(priority int, text string) bool {
	return l.Journal != "" && journal.Send(l.Journal, []journal.Field{
		{Name: "MESSAGE", Value: text},
		{Name: "PRIORITY", Value: strconv.Itoa(priority)},
		{Name: "SYSLOG_IDENTIFIER", Value: l.Name},
		{Name: "SYSLOG_PID", Value: strconv.Itoa(os.Getpid())},
	}) == nil
}

func (l *Log) toKmsg(priority int, line string) bool {
	if l.Kmsg == "" {
		return false
	}
	f, err := os.OpenFile(l.Kmsg, os.O_WRONLY|unix.O_NOCTTY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "<%d>%s\n", priority, line)
	return err == nil
}
