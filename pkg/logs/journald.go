package logs

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/journal"
)

// The fields conmon writes, and the one of pod's mark.
const (
	fieldID      = "CONTAINER_ID_FULL"
	fieldPartial = "CONTAINER_PARTIAL_MESSAGE"
	fieldMark    = "POD_LOG_MARK"
)

// journalReader reads a container's lines from the journal.
type journalReader struct {
	src  Source
	read func(context.Context, journal.Query, func(journal.Entry) error) error
	send func(string, []journal.Field) error
}

// query selects the container's entries. Only journald writes _UID.
func (r *journalReader) query(o *Options) journal.Query {
	return journal.Query{
		Matches: []string{"_UID=" + strconv.Itoa(r.src.HostUID), fieldID + "=" + r.src.ID},
		Fields:  []string{"MESSAGE", "PRIORITY", fieldPartial, fieldMark},
		Since:   o.Since, Until: o.Until, Last: -1,
	}
}

// toLine reads an entry; conmon marks standard error by its priority. Debian
// 13's (2.1.12) keeps the newline that ends a line, Debian 12's (2.1.6) does not.
func toLine(e journal.Entry) Line {
	l := Line{Time: e.Time(), Stderr: e["PRIORITY"] == "3", Partial: e[fieldPartial] == "true"}
	message := e["MESSAGE"]
	if !l.Partial {
		message = strings.TrimSuffix(message, "\n")
	}
	l.Data = []byte(message)
	return l
}

func (r *journalReader) run(ctx context.Context, o Options, emit func(Line) error) error {
	emit = o.bounded(emit)
	q := r.query(&o)
	var err error
	if o.Tail >= 0 {
		q.After, err = r.tail(ctx, &o, emit)
		if err != nil || !o.Follow {
			return ignoreDone(err)
		}
	}
	if !o.Follow {
		return ignoreDone(r.read(ctx, q, func(e journal.Entry) error { return emit(toLine(e)) }))
	}
	return ignoreDone(r.follow(ctx, q, o.Ended, emit))
}

func ignoreDone(err error) error {
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// tail emits the last lines and returns the cursor of the newest entry. It
// reads the journal backwards, no further than necessary.
func (r *journalReader) tail(ctx context.Context, o *Options, emit func(Line) error) (string, error) {
	q := r.query(o)
	q.Reverse = true
	c := &counter{want: o.Tail, o: o}
	var lines []Line
	var cursor string
	var unwanted int
	err := r.read(ctx, q, func(e journal.Entry) error {
		if cursor == "" {
			cursor = e["__CURSOR"]
		}
		if o.Tail == 0 {
			return errDone
		}
		l := toLine(e)
		wanted, more := c.add(l)
		unwanted++
		if wanted {
			lines = append(lines, l)
			unwanted = 0
		}
		// The other stream's open line is not worth reading a whole journal.
		if !more || c.want == 0 && unwanted > 1000 {
			return errDone
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDone) {
		return "", err
	}
	for _, l := range slices.Backward(lines) {
		if err := emit(l); err != nil {
			return "", err
		}
	}
	return cursor, nil
}

// markWait bounds the wait for pod's own mark, if journald does not answer.
const markWait = 2 * time.Second

// follow reads until the container has ended. journald may be behind conmon
// then; as it takes messages in order, a mark of pod's own that comes back
// says that all before it was read.
func (r *journalReader) follow(ctx context.Context, q journal.Query, ended <-chan struct{}, emit func(Line) error) error {
	mark := rand.Text()
	q.Follow = true
	q.Matches = append(q.Matches, "+", q.Matches[0], fieldMark+"="+mark)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-ended: // nil never is
		case <-ctx.Done():
			return
		}
		err := r.send(journal.Socket, []journal.Field{
			{Name: "MESSAGE", Value: "end of the logs of " + r.src.ID},
			{Name: "PRIORITY", Value: "7"},
			{Name: "SYSLOG_IDENTIFIER", Value: "pod"},
			{Name: fieldMark, Value: mark},
		})
		if err == nil {
			timer := time.NewTimer(markWait)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		cancel()
	}()
	return r.read(ctx, q, func(e journal.Entry) error {
		if e[fieldMark] == mark {
			return errDone
		}
		return emit(toLine(e))
	})
}
