package transfer

import (
	"os/user"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	me, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	lookup := func(name string) (string, string) {
		switch name {
		case "work":
			return "ssh://dev@work.example:2222/run/podman.sock", "/key"
		case "tcp":
			return "tcp://work.example:80", ""
		}
		return "", ""
	}
	for name, tt := range map[string]struct {
		args     []string
		from, to Place
		wrong    string
	}{
		"to a host":         {[]string{"app", "me@host:22::"}, Place{Image: "app"}, Place{SSH: &SSH{Host: "host", User: "me", Port: "22"}}, ""},
		"from a host":       {[]string{"host::app:1"}, Place{Image: "app:1", SSH: &SSH{Host: "host"}}, Place{}, ""},
		"between hosts":     {[]string{"a::app", "b::"}, Place{Image: "app", SSH: &SSH{Host: "a"}}, Place{SSH: &SSH{Host: "b"}}, ""},
		"a connection":      {[]string{"app", "work::"}, Place{Image: "app"}, Place{SSH: &SSH{"work.example", "dev", "2222", "/key"}}, ""},
		"the user's own":    {[]string{me.Username + "@localhost::app", "h::"}, Place{Image: "app"}, Place{SSH: &SSH{Host: "h"}}, ""},
		"another user":      {[]string{"app", "nobody@localhost::"}, Place{Image: "app"}, Place{User: "nobody"}, ""},
		"address":           {[]string{"app", "[::1]:22::"}, Place{Image: "app"}, Place{}, "not a host"},
		"no destination":    {[]string{"app"}, Place{}, Place{}, "must specify a destination"},
		"not a destination": {[]string{"app", "other"}, Place{}, Place{}, "must specify a destination"},
		"no image":          {[]string{"host::"}, Place{}, Place{}, "must specify an image"},
		"a new name":        {[]string{"app", "host::other"}, Place{}, Place{}, "rename"},
		"an option as host": {[]string{"app", "-oProxyCommand=x::"}, Place{}, Place{}, "not a host"},
		"an option as user": {[]string{"app", "-x@host::"}, Place{}, Place{}, "not a host"},
		"an option as name": {[]string{"host::-v"}, Place{}, Place{}, "invalid reference"},
		"password":          {[]string{"app", "me:secret@host::"}, Place{}, Place{}, "password"},
		"other scheme":      {[]string{"app", "tcp::"}, Place{}, Place{}, "only ssh"},
		"unknown user":      {[]string{"app", "no-such-user@localhost::"}, Place{}, Place{}, "no user"},
		"empty host":        {[]string{"app", "::"}, Place{}, Place{}, "not a host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to, err := Parse(tt.args, lookup)
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || !equal(from, tt.from) || !equal(to, tt.to) {
				t.Errorf("got %+v %+v, %v", from, to, err)
			}
		})
	}
}

func equal(a, b Place) bool {
	if (a.SSH == nil) != (b.SSH == nil) || a.SSH != nil && *a.SSH != *b.SSH {
		return false
	}
	return a.Image == b.Image && a.User == b.User
}

func TestCommand(t *testing.T) {
	t.Parallel()
	o := &Options{Self: []string{"pod", "--root=/r"}}
	for name, tt := range map[string]struct {
		place Place
		root  bool
		want  []string
	}{
		"here": {Place{}, false, []string{"pod", "--root=/r", "image", "load"}},
		"ssh": {
			Place{SSH: &SSH{Host: "h", User: "u", Port: "1", Identity: "/k"}},
			false,
			[]string{"ssh", "-T", "-p", "1", "-i", "/k", "-l", "u", "--", "h", "sh -c " + quote(either([]string{"image", "load"}))},
		},
		"user as root": {Place{User: "u"}, true, []string{"runuser", "-l", "u", "-c", "sh -c " + quote(either([]string{"image", "load"}))}},
		"user":         {Place{User: "u"}, false, []string{"sudo", "-i", "-u", "u", "--", "sh", "-c", either([]string{"image", "load"})}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := *o
			o.Root = tt.root
			if cmd, _ := o.command(t.Context(), tt.place, []string{"image", "load"}); !slices.Equal(cmd.Args, tt.want) {
				t.Errorf("got %q", cmd.Args)
			}
		})
	}
	if got := quote("it's; rm"); got != `'it'\''s; rm'` {
		t.Errorf("got %s", got)
	}
}

// TestCopy runs scripts in the place of pod: $1 is "image", $2 the verb.
func TestCopy(t *testing.T) {
	t.Parallel()
	const works = `if [ $2 = save ]; then echo told >&2; echo "data of $6"; else read -r x; echo "Loaded: $x"; fi`
	for name, tt := range map[string]struct {
		script, want, wrong string
	}{
		"works":      {works, "Loaded: data of app", ""},
		"not there":  {`if [ $2 = save ]; then echo "Error: app: image not known" >&2; exit 125; else cat; echo "Error: no archive" >&2; exit 1; fi`, "", "save app from this store: app: image not known"},
		"is late":    {`if [ $2 = save ]; then exec >&-; sleep 0.2; echo "Error: app: image not known" >&2; exit 125; else cat; echo "Error: no archive" >&2; exit 1; fi`, "", "save app from this store: app: image not known"},
		"no host":    {`if [ $2 = save ]; then echo "ssh: no such host" >&2; exit 255; else cat; echo "Error: no image archive" >&2; exit 1; fi`, "", "save app from this store: ssh: no such host"},
		"silent":     {`if [ $2 = save ]; then echo progress >&2; exit 255; else echo "ssh: connection refused" >&2; exit 255; fi`, "", "load app into this store: ssh: connection refused"},
		"cut off":    {`if [ $2 = save ]; then cat /dev/zero; else echo "Error: no space" >&2; exit 125; fi`, "", "load app into this store: no space"},
		"refused":    {`if [ $2 = save ]; then exec sleep 1000; else echo "Error: no space" >&2; exit 125; fi`, "", "load app into this store: no space"},
		"says so":    {`if [ $2 = save ]; then echo data; else cat >/dev/null; printf 'cannot \033[31mstart' >&2; exit 127; fi`, "", "cannot [31mstart"},
		"says never": {`if [ $2 = save ]; then echo data; else cat >/dev/null; exit 3; fi`, "", "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told strings.Builder
			printed, err := Copy(t.Context(), Place{Image: "app"}, Place{}, Options{Self: []string{"sh", "-c", tt.script, "sh"}, Progress: &told})
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || !slices.Equal(printed, []string{tt.want}) || told.String() != "told\n" {
				t.Errorf("got %q %q, %v", printed, told.String(), err)
			}
		})
	}
	if _, err := Copy(t.Context(), Place{Image: "app"}, Place{}, Options{Self: []string{"/no/such/program"}}); err == nil {
		t.Error("started what is not there")
	}
}
