package scope

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// together is the size from which on a first question goes out with the greeting.
// systemd reads the greeting in pieces of 256 bytes, and looks at what came with it
// only when there is more to read: a short question would never be answered.
const together = 512

// The manager's own object and interface.
const (
	managerName      = "org.freedesktop.systemd1"
	managerObject    = dbus.ObjectPath("/org/freedesktop/systemd1")
	managerInterface = "org.freedesktop.systemd1.Manager"
)

// Conn is a connection to a manager, or to a bus on which one is; it is for one command.
//
// The messages are a library's, the conversation is not: a library greets in
// four steps before it asks, and systemd, which has one thread, takes longer to
// answer these than to do what is asked for. Greeting and first question go out
// together; systemd takes them as they come.
type Conn struct {
	conn   net.Conn
	in     *bufio.Reader
	uid    int
	serial uint32
	// to is who is asked; with bus, on a message bus, which is to be told hello first.
	to  string
	bus bool
}

// Connect connects to the manager's private socket, without a message bus.
func (m Manager) Connect(ctx context.Context) (*Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", m.socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoManager, err)
	}
	return &Conn{conn: conn, in: bufio.NewReader(conn), uid: m.uid, to: managerName}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// call calls a method of the manager, then reads until its answer and, if unit
// is not empty, until the job that starts the unit has ended.
func (c *Conn) call(ctx context.Context, unit, method string, args ...any) error {
	_, err := c.reply(ctx, unit, method, args...)
	return err
}

// reply is call, for who wants to know what the manager says.
func (c *Conn) reply(ctx context.Context, unit, method string, args ...any) ([]any, error) {
	return c.within(ctx, timeout, unit, method, args...)
}

// within is reply, with another bound than that of a millisecond's work.
func (c *Conn) within(ctx context.Context, bound time.Duration, unit, method string, args ...any) ([]any, error) {
	return c.exchange(ctx, bound, unit, func() error { return c.ask(method, args) })
}

// exchange asks, and waits no longer than bound for the answer, and for the job of
// unit if that is not empty.
func (c *Conn) exchange(ctx context.Context, bound time.Duration, unit string, ask func() error) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	err := ask()
	var body []any
	if err == nil {
		body, err = c.answer(unit)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return body, err
}

// ask sends one question, the first with the greeting before it. The peer is
// asked for by its uid on the host; in a user namespace a library would say 0,
// and be refused.
func (c *Conn) ask(method string, args []any) error {
	return c.askAt(managerObject, managerInterface, method, args)
}

// askAt is ask for a method of another object than the manager.
func (c *Conn) askAt(object dbus.ObjectPath, iface, method string, args []any) error {
	var out bytes.Buffer
	greeting := c.serial == 0
	if greeting {
		name := hex.EncodeToString([]byte(strconv.Itoa(c.uid)))
		out.WriteString("\x00AUTH EXTERNAL " + name + "\r\nBEGIN\r\n")
	}
	var message []byte
	if greeting && c.bus {
		c.serial++
		hello, err := encode(c.serial, question{"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", nil})
		if err != nil {
			return err
		}
		message = hello
	}
	c.serial++
	asked, err := encode(c.serial, question{c.to, object, iface, method, args})
	if err != nil {
		return err
	}
	message = append(message, asked...)
	if !greeting || len(message) >= together && !c.bus {
		out.Write(message)
		message = nil
	}
	if _, err := c.conn.Write(out.Bytes()); err != nil {
		return fmt.Errorf("ask systemd: %w", err)
	}
	if !greeting {
		return nil
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("greet systemd: %w", err)
	}
	if !strings.HasPrefix(line, "OK ") {
		return fmt.Errorf("systemd refuses uid %d: %s", c.uid, strings.TrimSpace(line))
	}
	if _, err := c.conn.Write(message); err != nil {
		return fmt.Errorf("ask systemd: %w", err)
	}
	return nil
}

// answer reads what call waits for. systemd tells all its peers of every job;
// signals of others are passed over.
func (c *Conn) answer(unit string) ([]any, error) {
	answered := false
	for {
		msg, err := dbus.DecodeMessage(c.in)
		if err != nil {
			return nil, fmt.Errorf("read systemd's answer: %w", err)
		}
		switch msg.Type {
		case dbus.TypeError:
			return nil, refusal(msg)
		case dbus.TypeMethodReply:
			if to, ok := msg.Headers[dbus.FieldReplySerial].Value().(uint32); ok && to != c.serial {
				continue // to the hello
			}
			if unit == "" {
				return msg.Body, nil
			}
			answered = true
		case dbus.TypeSignal:
			result, mine := jobResult(msg, unit)
			if !answered || !mine {
				continue
			}
			if result != "done" {
				return nil, fmt.Errorf("systemd's job ended with %q", result)
			}
			return nil, nil
		}
	}
}

// jobResult reads a JobRemoved signal: (number, object, unit, result).
func jobResult(msg *dbus.Message, unit string) (result string, mine bool) {
	member, _ := msg.Headers[dbus.FieldMember].Value().(string)
	if member != "JobRemoved" || len(msg.Body) < 4 {
		return "", false
	}
	name, _ := msg.Body[2].(string)
	result, _ = msg.Body[3].(string)
	return result, name == unit
}

// question is a method call.
type question struct {
	to            string
	object        dbus.ObjectPath
	iface, method string
	args          []any
}

// encode makes the message of a question.
func encode(serial uint32, q question) ([]byte, error) {
	msg := &dbus.Message{
		Type: dbus.TypeMethodCall,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath:        dbus.MakeVariant(q.object),
			dbus.FieldInterface:   dbus.MakeVariant(q.iface),
			dbus.FieldDestination: dbus.MakeVariant(q.to),
			dbus.FieldMember:      dbus.MakeVariant(q.method),
		},
		Body: q.args,
	}
	if len(q.args) > 0 {
		msg.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(q.args...))
	}
	var out bytes.Buffer
	if err := msg.EncodeTo(&out, binary.LittleEndian); err != nil {
		return nil, fmt.Errorf("encode %s: %w", q.method, err)
	}
	data := out.Bytes()
	// The library keeps the serial to itself and leaves it 0, which is none.
	binary.LittleEndian.PutUint32(data[8:], serial)
	return data, nil
}

// refusal turns systemd's error into ours.
func refusal(msg *dbus.Message) error {
	name, _ := msg.Headers[dbus.FieldErrorName].Value().(string)
	switch name {
	case "org.freedesktop.systemd1.UnitExists":
		return ErrExists
	case "org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.LoadFailed",
		"org.freedesktop.systemd1.ScopeNotRunning":
		return ErrGone
	}
	if len(msg.Body) > 0 {
		if text, ok := msg.Body[0].(string); ok {
			return errors.New(text)
		}
	}
	return errors.New(name)
}
