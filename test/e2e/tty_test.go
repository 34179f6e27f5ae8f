package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// tty FILE CMD... runs CMD with a terminal of 24 rows and 80 columns and talks
// to it as FILE says, line by line:
//
//	expect REGEXP   wait for output; what follows the match stays for the next
//	line TEXT       type TEXT and Return
//	send "TEXT"     type TEXT, with Go's escapes ("\x10\x11" is Ctrl-P Ctrl-Q)
//	resize R C      change the size
//	exit N          CMD ends with this code (*: with any)
//
// Everything CMD has shown is on stdout afterwards.
func ttyCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: tty FILE COMMAND...")
	}
	session := ts.ReadFile(args[0])
	// testscript tells nobody the whole environment: ask a child of it.
	ts.Check(ts.Exec("sh", "-c", `env -0 >"$BASE/env"`))
	env := strings.Split(strings.TrimRight(ts.ReadFile(ts.Getenv("BASE")+"/env"), "\x00"), "\x00")
	term, err := startInTerminal(args[1:], append(env, "TERM=xterm"), ts.MkAbs("."))
	ts.Check(err)
	defer term.end()
	err = term.converse(session)
	fmt.Fprint(ts.Stdout(), term.transcript())
	if err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
}

// terminal is a program and the master side of its terminal.
type terminal struct {
	master *os.File
	cmd    *exec.Cmd
	ended  chan struct{}
	read   chan struct{} // closed when all that was shown has been read
	code   int

	mu   sync.Mutex
	all  strings.Builder // everything shown
	seen int             // how much of it has been expected
	news chan struct{}
}

func startInTerminal(args, env []string, dir string) (*terminal, error) {
	master, slave, err := openTerminal()
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	program, err := exec.LookPath(args[0])
	if err != nil {
		return nil, errors.Join(err, master.Close())
	}
	cmd := exec.Command(program, args[1:]...)
	cmd.Env, cmd.Dir = env, dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, master.Close())
	}
	term := &terminal{master: master, cmd: cmd, ended: make(chan struct{}), read: make(chan struct{}), news: make(chan struct{}, 1)}
	go term.listen()
	go func() {
		term.code, _ = exitCode(cmd.Wait())
		close(term.ended)
	}()
	return term, term.resize(24, 80)
}

func openTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	// Not master.Fd(): that would make reads block for ever.
	raw, err := master.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	var number int
	var inner error
	err = raw.Control(func(fd uintptr) {
		if inner = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); inner == nil {
			number, inner = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err = errors.Join(err, inner); err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	return master, slave, nil
}

func (t *terminal) listen() {
	defer close(t.read)
	in := bufio.NewReader(t.master)
	for {
		b, err := in.ReadByte()
		if err != nil {
			return
		}
		t.mu.Lock()
		t.all.WriteByte(b)
		t.mu.Unlock()
		select {
		case t.news <- struct{}{}:
		default:
		}
	}
}

func (t *terminal) transcript() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ReplaceAll(t.all.String(), "\r\n", "\n")
}

func (t *terminal) resize(rows, cols uint16) error {
	raw, err := t.master.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		inner = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	return errors.Join(err, inner)
}

func (t *terminal) converse(session string) error {
	for line := range strings.Lines(session) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		if err := t.step(verb, rest); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return nil
}

func (t *terminal) step(verb, rest string) error {
	switch verb {
	case "expect":
		return t.expect(rest)
	case "line":
		_, err := t.master.WriteString(rest + "\r")
		return err
	case "send":
		text, err := strconv.Unquote(rest)
		if err == nil {
			_, err = t.master.WriteString(text)
		}
		return err
	case "resize":
		var rows, cols uint16
		if _, err := fmt.Sscan(rest, &rows, &cols); err != nil {
			return err
		}
		return t.resize(rows, cols)
	case "exit":
		return t.exit(rest)
	}
	return fmt.Errorf("use expect, line, send, resize or exit")
}

func (t *terminal) expect(pattern string) error {
	re, err := regexp.Compile("(?m)" + pattern)
	if err != nil {
		return err
	}
	late := time.After(patience)
	for {
		t.mu.Lock()
		if at := re.FindStringIndex(t.all.String()[t.seen:]); at != nil {
			t.seen += at[1]
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		select {
		case <-t.news:
		case <-late:
			return fmt.Errorf("not shown within %s", patience)
		}
	}
}

func (t *terminal) exit(want string) error {
	select {
	case <-t.ended:
	case <-time.After(patience):
		return fmt.Errorf("still runs after %s", patience)
	}
	select {
	case <-t.read:
	case <-time.After(time.Second): // something in the background has the terminal
	}
	if got := strconv.Itoa(t.code); want != "*" && got != want {
		return fmt.Errorf("exit code %s", got)
	}
	return nil
}

// end kills the program when it has not ended.
func (t *terminal) end() {
	select {
	case <-t.ended:
	default:
		_ = t.cmd.Process.Kill()
		<-t.ended
	}
	_ = t.master.Close()
}
