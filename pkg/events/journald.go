package events

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/journal"
)

// messageID marks pod's events in the journal, so that a reader's match is an
// index look-up.
const messageID = "857f65eb698e4a458a8ab44e65a8648e"

// The fields of an event. They are pod's own: podman's reader, which asks for
// its own, does not trip over them.
const (
	fieldStore      = "POD_STORE"
	fieldTime       = "POD_TIME"
	fieldType       = "POD_TYPE"
	fieldStatus     = "POD_EVENT"
	fieldID         = "POD_ID"
	fieldName       = "POD_NAME"
	fieldImage      = "POD_IMAGE"
	fieldPodID      = "POD_POD_ID"
	fieldNetwork    = "POD_NETWORK"
	fieldExitCode   = "POD_EXIT_CODE"
	fieldOOM        = "POD_OOM_KILLED"
	fieldHealth     = "POD_HEALTH_STATUS"
	fieldStreak     = "POD_HEALTH_FAILING_STREAK"
	fieldHealthLog  = "POD_HEALTH_LOG"
	fieldError      = "POD_ERROR"
	fieldAttributes = "POD_ATTRIBUTES"
)

type journalLog struct {
	socket string
	uid    int
	store  string
	read   func(context.Context, journal.Query, func(journal.Entry) error) error
}

func (l *journalLog) Name() string { return "journald" }

func (l *journalLog) Write(e Event) error {
	e.stamp(l.store)
	return journal.Send(l.socket, fields(&e))
}

// fields are e as fields of a journal entry.
func fields(e *Event) []journal.Field {
	_, message, _ := strings.Cut(e.Line(false), " "+string(e.Type)+" ")
	list := []journal.Field{
		{Name: "MESSAGE", Value: string(e.Type) + " " + message},
		{Name: "MESSAGE_ID", Value: messageID},
		{Name: "PRIORITY", Value: "6"},
		{Name: "SYSLOG_IDENTIFIER", Value: "pod"},
		{Name: fieldStore, Value: e.Store},
		{Name: fieldTime, Value: strconv.FormatInt(e.Time.UnixNano(), 10)},
		{Name: fieldType, Value: string(e.Type)},
		{Name: fieldStatus, Value: string(e.Status)},
	}
	add := func(name, value string) {
		if value != "" {
			list = append(list, journal.Field{Name: name, Value: value})
		}
	}
	add(fieldID, e.ID)
	add(fieldName, e.Name)
	add(fieldImage, e.Image)
	add(fieldPodID, e.PodID)
	add(fieldNetwork, e.Network)
	add(fieldHealth, e.Health)
	if e.Health != "" {
		add(fieldStreak, strconv.Itoa(e.FailingStreak))
	}
	add(fieldHealthLog, e.HealthLog)
	add(fieldError, e.Error)
	if e.ExitCode != nil {
		add(fieldExitCode, strconv.Itoa(*e.ExitCode))
	}
	if e.OOMKilled {
		add(fieldOOM, "true")
	}
	if len(e.Attributes) > 0 {
		if data, err := json.Marshal(e.Attributes); err == nil { // strings only: never fails
			add(fieldAttributes, string(data))
		}
	}
	return list
}

// fromEntry is the way back.
func fromEntry(entry journal.Entry) Event {
	e := Event{
		Time: entry.Time(), Type: Type(entry[fieldType]), Status: Status(entry[fieldStatus]),
		ID: entry[fieldID], Name: entry[fieldName], Image: entry[fieldImage], PodID: entry[fieldPodID],
		Network: entry[fieldNetwork], Health: entry[fieldHealth], HealthLog: entry[fieldHealthLog], Error: entry[fieldError],
		OOMKilled: entry[fieldOOM] == "true", Store: entry[fieldStore],
	}
	if nano, err := strconv.ParseInt(entry[fieldTime], 10, 64); err == nil {
		e.Time = time.Unix(0, nano)
	}
	if code, err := strconv.Atoi(entry[fieldExitCode]); err == nil {
		e.ExitCode = &code
	}
	if streak, err := strconv.Atoi(entry[fieldStreak]); err == nil {
		e.FailingStreak = streak
	}
	if s := entry[fieldAttributes]; s != "" {
		// An entry another program of the user wrote badly has no attributes.
		_ = json.Unmarshal([]byte(s), &e.Attributes)
	}
	return e
}

var errStop = errors.New("stop") //nolint:gochecknoglobals // sentinel

func (l *journalLog) Read(ctx context.Context, f Filter) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		q := journal.Query{
			Matches: []string{
				"_UID=" + strconv.Itoa(l.uid), "MESSAGE_ID=" + messageID, fieldStore + "=" + l.store,
			},
			Fields: []string{
				fieldStore, fieldTime, fieldType, fieldStatus, fieldID, fieldName, fieldImage, fieldPodID,
				fieldNetwork, fieldExitCode, fieldOOM, fieldHealth, fieldStreak, fieldHealthLog, fieldError, fieldAttributes,
			},
			Since: f.Since, Until: f.Until, Last: -1, Follow: f.follows(time.Now()),
		}
		if q.Follow && f.fromNow() {
			q.Last = 0
		}
		if q.Follow && !f.Until.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, f.Until)
			defer cancel()
		}
		err := l.read(ctx, q, func(entry journal.Entry) error {
			e := fromEntry(entry)
			if f.Match(&e) && !yield(e, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Event{}, err)
		}
	}
}

// follows: a stream whose end is past already is read and done.
func (f *Filter) follows(now time.Time) bool {
	return f.Stream && (f.Until.IsZero() || f.Until.After(now))
}

// fromNow: a stream without bounds shows no old events.
func (f *Filter) fromNow() bool {
	return f.Since.IsZero() && f.Until.IsZero()
}
