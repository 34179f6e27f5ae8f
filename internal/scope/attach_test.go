package scope

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// fakeBus is a message bus: it says hello first, tells the new peer its name, and passes
// one question on.
func fakeBus(t *testing.T, answer func(call *dbus.Message) *dbus.Message) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		line, _ := in.ReadString('\n')
		if begin, _ := in.ReadString('\n'); line != "\x00AUTH EXTERNAL 31303030\r\n" || begin != "BEGIN\r\n" {
			_, _ = io.WriteString(conn, "REJECTED EXTERNAL\r\n")
			return
		}
		_, _ = io.WriteString(conn, "OK 0123\r\n")
		for serial := range uint32(2) {
			call, err := dbus.DecodeMessage(in)
			if err != nil {
				return
			}
			if reply := answer(call); reply != nil {
				reply.Headers[dbus.FieldReplySerial] = dbus.MakeVariant(serial + 1)
				_ = reply.EncodeTo(conn, binary.LittleEndian)
			}
		}
	}()
	return "unix:path=" + socket
}

func header(m *dbus.Message, f dbus.HeaderField) string { return fmt.Sprint(m.Headers[f].Value()) }

func TestAskSystem(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		var asked []string
		address := fakeBus(t, func(call *dbus.Message) *dbus.Message {
			asked = append(asked, header(call, dbus.FieldDestination)+" "+header(call, dbus.FieldPath)+" "+
				header(call, dbus.FieldInterface)+"."+header(call, dbus.FieldMember)+fmt.Sprint(call.Body))
			reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{}}
			if refuse && header(call, dbus.FieldMember) != "Hello" {
				reply.Type = dbus.TypeError
				reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.DBus.Error.AccessDenied")
				reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.ParseSignatureMust("s"))
				reply.Body = []any{"not yours"}
			}
			return reply
		})
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
		err := AttachToUser(t.Context(), 1000, "x/y", 77)
		if refuse != (err != nil) || refuse && !strings.HasSuffix(err.Error(), "not yours") {
			t.Errorf("refuse %v: %v", refuse, err)
		}
		want := []string{
			"org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus.Hello[]",
			"org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager.AttachProcessesToUnit[user@1000.service /x/y [77]]",
		}
		if fmt.Sprint(asked) != fmt.Sprint(want) {
			t.Errorf("asked %q, want %q", asked, want)
		}
	}
}

func TestAskSystemElsewhere(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "tcp:host=localhost,port=1")
	if err := SetLinger(t.Context(), 1000, true); err == nil || !strings.Contains(err.Error(), "is not supported") {
		t.Errorf("SetLinger = %v", err)
	}
}
