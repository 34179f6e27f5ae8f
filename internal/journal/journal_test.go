package journal

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen is a journald that keeps what it is sent.
func listen(t *testing.T) (string, func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return path, func() string {
		buf, oob := make([]byte, 1<<20), make([]byte, 128)
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		if err != nil {
			t.Fatal(err)
		}
		if oobn == 0 {
			return string(buf[:n])
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			t.Fatal(err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fds[0]), "entry")
		defer f.Close()
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("the memory file is not sealed")
		}
		data, err := io.ReadAll(io.NewSectionReader(f, 0, 64<<20))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
}

func TestSendAndParse(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 64<<10) // more than a datagram holds
	tests := []struct {
		name   string
		fields []Field
	}{
		{"plain", []Field{{"MESSAGE", "hello"}, {"POD_ID", "=a=b="}}},
		{"newline cannot forge a field", []Field{{"POD_NAME", "x\nPOD_TYPE=image"}, {"POD_TYPE", "container"}}},
		{"empty value", []Field{{"POD_NAME", ""}}},
		{"large", []Field{{"MESSAGE", big}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			socket, receive := listen(t)
			if err := Send(socket, tt.fields); err != nil {
				t.Fatal(err)
			}
			want := Entry{}
			for _, f := range tt.fields {
				want[f.Name] = f.Value
			}
			// The export format is the native one plus an empty line.
			var got []Entry
			err := Parse(strings.NewReader(receive()+"\n"), func(e Entry) error { got = append(got, e); return nil })
			if err != nil || !reflect.DeepEqual(got, []Entry{want}) {
				t.Fatalf("got %.200v, %v", got, err)
			}
		})
	}
}

func TestSendWithoutJournald(t *testing.T) {
	if err := Send(filepath.Join(t.TempDir(), "none"), []Field{{"A", "b"}}); err == nil {
		t.Fatal("no error")
	}
}

func TestParse(t *testing.T) {
	// As journalctl -o export of systemd 257 writes it.
	captured := "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1763769764123456\n_UID=1000\nMESSAGE=plain\n\n" +
		"__REALTIME_TIMESTAMP=1763769765000000\nMESSAGE\n\x04\x00\x00\x00\x00\x00\x00\x00a\n\xffb\nPRIORITY=6\n\n"
	var got []Entry
	if err := Parse(strings.NewReader(captured), func(e Entry) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0]["MESSAGE"] != "plain" || got[1]["MESSAGE"] != "a\n\xffb" || got[1]["PRIORITY"] != "6" {
		t.Fatalf("got %q", got)
	}
	if want := time.UnixMicro(1763769764123456); !got[0].Time().Equal(want) {
		t.Errorf("time %v, want %v", got[0].Time(), want)
	}
	for name, broken := range map[string]string{
		"cut line":   "MESSAGE=a",
		"cut length": "MESSAGE\n\x04\x00",
		"cut value":  "MESSAGE\n\x04\x00\x00\x00\x00\x00\x00\x00a",
		"huge":       "MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x7fa\n",
	} {
		if err := Parse(strings.NewReader(broken), func(Entry) error { return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	stop := errors.New("stop")
	if err := Parse(strings.NewReader(captured), func(Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v, want %v", err, stop)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("A=b\nC\n\x01\x00\x00\x00\x00\x00\x00\x00x\n\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_ = Parse(strings.NewReader(string(data)), func(Entry) error { return nil })
	})
}

func TestQueryArgs(t *testing.T) {
	since, until := time.Unix(100, 5), time.Unix(200, 5)
	tests := []struct {
		name string
		q    Query
		want string
	}{
		{"all", Query{Last: -1, Matches: []string{"_UID=1", "A=b"}}, "_UID=1 A=b"},
		{"bounds", Query{Last: -1, Since: since, Until: until, Fields: []string{"A", "B"}}, "--output-fields=A,B --since=@100 --until=@201"},
		{"follow all", Query{Last: -1, Follow: true, Until: until}, "--no-tail --follow"},
		{"follow from now", Query{Last: 0, Follow: true}, "--lines=0 --follow"},
		{"last", Query{Last: 5}, "--lines=5"},
		{"after a cursor", Query{Last: -1, After: "s=1", Since: since, Follow: true}, "--after-cursor=s=1 --no-tail --follow"},
		{"backwards", Query{Last: -1, Reverse: true}, "--reverse"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := "--output=export --quiet --no-pager " + tt.want
			if got := strings.Join(tt.q.args(), " "); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestUsable(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		uid   int
		want  bool
	}{
		{"no journald", []string{"var/log/journal/m/system.journal"}, 1000, false},
		{"persistent, an own file will come", []string{Socket, "var/log/journal/m/x"}, 1000, true},
		{"persistent, but a system user", []string{Socket, "var/log/journal/m/x"}, 100, false},
		{"persistent, but a dynamic user", []string{Socket, "var/log/journal/m/x"}, 61500, false},
		{"persistent, but a container's user", []string{Socket, "var/log/journal/m/x"}, 600000, false},
		{"a system user who may read all", []string{Socket, "var/log/journal/m/system.journal"}, 100, true},
		{"volatile and closed", []string{Socket, "run/log/journal/m/x"}, 1000, false},
		{"volatile and open", []string{Socket, "run/log/journal/m/system.journal"}, 1000, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for _, f := range append(tt.files, "etc/machine-id") {
				path := filepath.Join(root, f)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("m\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := Usable(root, tt.uid); got != tt.want {
				t.Fatalf("got %v", got)
			}
		})
	}
}

// A signal while journald is slow must not lose an entry.
func TestSendInterrupted(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// Full: each entry waits until one is read.
	for {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = unix.Sendto(fd, []byte("filler"), 0, &unix.SockaddrUnix{Name: socket})
		unix.Close(fd)
		if err != nil {
			break
		}
	}
	tid := make(chan int)
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		tid <- unix.Gettid()
		done <- Send(socket, []Field{{"MESSAGE", "kept"}})
	}()
	sender := <-tid
	stat := fmt.Sprintf("/proc/self/task/%d/stat", sender)
	for range 100 {
		for data, _ := os.ReadFile(stat); !strings.Contains(string(data), ") S "); data, _ = os.ReadFile(stat) {
			select {
			case err := <-done:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
		}
		if err := unix.Tgkill(os.Getpid(), sender, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := listener.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(buf[:n]), "kept") {
			break
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
