package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Entry is an entry of the journal: its fields by name, binary ones as they
// are. journald's own begin with underscores.
type Entry map[string]string

// Time is when journald received the entry.
func (e Entry) Time() time.Time {
	usec, err := strconv.ParseInt(e["__REALTIME_TIMESTAMP"], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(usec)
}

// Query selects entries.
type Query struct {
	// Matches are FIELD=VALUE, all of which hold. One should be _UID=: only
	// journald writes that field, so other users cannot forge entries.
	Matches []string
	// Fields are the fields wanted; journald's addresses come in any case.
	Fields []string
	// Since and Until bound the time, to the second; zero is no bound.
	Since, Until time.Time
	// Last limits to the newest entries; negative is no limit.
	Last int
	// Follow goes on with new entries until the context ends.
	Follow bool
	// Reverse begins with the newest.
	Reverse bool
	// After is the __CURSOR of an entry: only what comes after it is read.
	After string
}

// args are journalctl's arguments. Not --user: in a user namespace that looks
// for the journal of the namespace's root.
func (q *Query) args() []string {
	args := []string{"--output=export", "--quiet", "--no-pager"}
	if len(q.Fields) > 0 {
		args = append(args, "--output-fields="+strings.Join(q.Fields, ","))
	}
	if !q.Since.IsZero() && q.After == "" { // journalctl takes one of them
		args = append(args, "--since=@"+strconv.FormatInt(q.Since.Unix(), 10))
	}
	if !q.Until.IsZero() && !q.Follow {
		args = append(args, "--until=@"+strconv.FormatInt(q.Until.Unix()+1, 10))
	}
	if q.After != "" {
		args = append(args, "--after-cursor="+q.After)
	}
	if q.Reverse {
		args = append(args, "--reverse")
	}
	switch {
	case q.Last >= 0:
		args = append(args, "--lines="+strconv.Itoa(q.Last))
	case q.Follow:
		args = append(args, "--no-tail")
	}
	if q.Follow {
		args = append(args, "--follow")
	}
	return append(args, q.Matches...)
}

// Read calls emit for each entry of the query, oldest first, until emit or the
// context ends it. The end of the context is no error.
func Read(ctx context.Context, q Query, emit func(Entry) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", q.args()...)
	// journalctl --follow must not outlive a killed pod.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	ended := ctx.Done()
	err = Parse(out, emit)
	stopped := err != nil
	select {
	case <-ended:
		stopped = true
		var pathErr *os.PathError
		if errors.As(err, &pathErr) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil // the pipe was closed under the reader
		}
	default:
	}
	cancel()
	waitErr := cmd.Wait()
	if err != nil {
		return err
	}
	if waitErr != nil && !stopped {
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		// Exit code 1 without a word is "no entries".
		if line == "" {
			return nil
		}
		return fmt.Errorf("read the journal: journalctl: %s", line)
	}
	return nil
}

// maxField bounds one field; conmon and pod write far smaller ones.
const maxField = 64 << 20

// Parse reads the journal export format: NAME=value lines, or NAME, a length
// and the bytes; an empty line ends an entry.
func Parse(r io.Reader, emit func(Entry) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	entry := Entry{}
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			if line != "" {
				return io.ErrUnexpectedEOF
			}
			if len(entry) > 0 {
				return emit(entry)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if len(entry) > 0 {
				if err := emit(entry); err != nil {
					return err
				}
				entry = Entry{}
			}
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			if value, err = binaryField(in); err != nil {
				return err
			}
		}
		entry[name] = value
	}
}

func binaryField(in *bufio.Reader) (string, error) {
	var size [8]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return "", io.ErrUnexpectedEOF
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxField {
		return "", fmt.Errorf("read the journal: a field of %d bytes is too large", n)
	}
	value := make([]byte, n+1)
	if _, err := io.ReadFull(in, value); err != nil {
		return "", io.ErrUnexpectedEOF
	}
	return string(value[:n]), nil
}
