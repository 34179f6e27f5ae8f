package scope

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// fakeManager answers as systemd does, also in what it leaves lying: what came with
// the greeting is looked at when there is more to read.
type fakeManager struct {
	t      *testing.T
	result string // of jobs
	hangUp bool   // after an order
	load   string
	active []string // one after the other
	reset  bool
}

func (f *fakeManager) listen() Manager {
	socket := filepath.Join(f.t.TempDir(), "private")
	l, err := (&net.ListenConfig{}).Listen(f.t.Context(), "unix", socket)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.serve(conn)
			_ = conn.Close()
		}
	}()
	return Manager{socket: socket, uid: 1000}
}

func (f *fakeManager) serve(conn net.Conn) {
	buf := make([]byte, 256)
	n, err := conn.Read(buf)
	_, rest, ok := bytes.Cut(buf[:n], []byte("BEGIN\r\n"))
	if err != nil || !ok {
		return
	}
	if _, err := io.WriteString(conn, "OK 0123\r\n"); err != nil {
		return
	}
	rest = bytes.Clone(rest)
	if n, err = conn.Read(buf); err != nil {
		return
	}
	in := io.MultiReader(bytes.NewReader(append(rest, buf[:n]...)), conn)
	for {
		msg, err := dbus.DecodeMessage(in)
		if err != nil || !f.answer(conn, msg) {
			return
		}
	}
}

// answer answers one question; false: the connection ends.
func (f *fakeManager) answer(conn net.Conn, msg *dbus.Message) bool {
	const job = dbus.ObjectPath("/org/freedesktop/systemd1/job/7")
	reply := func(body ...any) { f.send(conn, msg, "", body...) }
	switch member, _ := msg.Headers[dbus.FieldMember].Value().(string); member {
	case "LoadUnit":
		reply(dbus.ObjectPath("/org/freedesktop/systemd1/unit/x"))
	case "Get":
		if name, _ := msg.Body[1].(string); strings.HasPrefix(name, "Timeout") {
			reply(dbus.MakeVariant(^uint64(0)))
		} else {
			reply(dbus.MakeVariant("exit-code"))
		}
	case "ResetFailedUnit":
		f.reset = true
		reply()
	case "RestartUnit":
		if !f.reset {
			f.t.Error("the count of failed starts was not reset")
		}
		reply(job)
		f.send(conn, nil, "JobRemoved", uint32(6), dbus.ObjectPath("/org/freedesktop/systemd1/job/6"), "x.service", "canceled")
		if f.hangUp {
			return false
		}
		f.send(conn, nil, "JobRemoved", uint32(7), job, "x.service", f.result)
	case "ListUnitsByNames":
		active := f.active[0]
		if len(f.active) > 1 {
			f.active = f.active[1:]
		}
		type row struct {
			Name, Description, Load, Active, Sub, Following string
			Object                                          dbus.ObjectPath
			Job                                             uint32
			JobType                                         string
			JobObject                                       dbus.ObjectPath
		}
		reply([]row{{"x.service", "", f.load, active, "", "", "/x", 0, "", "/"}})
	}
	return true
}

// send sends a reply to a question, or a signal.
func (f *fakeManager) send(conn net.Conn, to *dbus.Message, signal string, body ...any) {
	out := &dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...)),
	}}
	var data bytes.Buffer
	if to != nil {
		out.Type = dbus.TypeMethodReply
		out.Headers[dbus.FieldReplySerial] = dbus.MakeVariant(to.Serial())
	} else {
		out.Headers[dbus.FieldPath] = dbus.MakeVariant(managerObject)
		out.Headers[dbus.FieldInterface] = dbus.MakeVariant(managerInterface)
		out.Headers[dbus.FieldMember] = dbus.MakeVariant(signal)
	}
	if err := out.EncodeTo(&data, binary.LittleEndian); err != nil {
		f.t.Error(err)
	}
	binary.LittleEndian.PutUint32(data.Bytes()[8:], 1)
	_, _ = conn.Write(data.Bytes())
}

func TestRestart(t *testing.T) {
	for name, tt := range map[string]struct {
		fake *fakeManager
		want string
	}{
		"done":   {&fakeManager{result: "done"}, ""},
		"failed": {&fakeManager{result: "failed"}, `the job of unit x.service ended with "failed" (exit-code)`},
		// systemd was executed anew, and has lost the connection but not the job.
		"lost, up":   {&fakeManager{hangUp: true, load: "loaded", active: []string{"activating", "active"}}, ""},
		"lost, down": {&fakeManager{hangUp: true, load: "loaded", active: []string{"failed"}}, `the job of unit x.service ended with "failed"`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.fake.t = t
			err := tt.fake.listen().Restart(t.Context(), "x.service")
			if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestState(t *testing.T) {
	m := (&fakeManager{t: t, load: "loaded", active: []string{"active"}}).listen()
	if got, err := m.State(t.Context(), "x.service"); err != nil || got != "active" {
		t.Errorf("of x.service: %q, %v", got, err)
	}
	m = (&fakeManager{t: t, load: "not-found", active: []string{"inactive"}}).listen()
	if _, err := m.State(t.Context(), "x.service"); !errors.Is(err, ErrGone) {
		t.Errorf("of no unit: %v", err)
	}
	// A long first question comes with the greeting.
	conn, err := m.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.States(t.Context(), []string{"x.service", strings.Repeat("y", 600)}); err != nil {
		t.Error(err)
	}
}
