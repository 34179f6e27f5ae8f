package specgen

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

func TestParsePorts(t *testing.T) {
	cases := map[string]struct {
		want PortMapping
		err  string
	}{
		"80":                          {want: PortMapping{"", 0, 80, 1, "tcp", false}},
		"8080:80":                     {want: PortMapping{"", 8080, 80, 1, "tcp", false}},
		":80":                         {want: PortMapping{"", 0, 80, 1, "tcp", false}},
		"0:80":                        {want: PortMapping{"", 0, 80, 1, "tcp", false}},
		"53:53/UDP":                   {want: PortMapping{"", 53, 53, 1, "udp", false}},
		"127.0.0.1:8080:80":           {want: PortMapping{"127.0.0.1", 8080, 80, 1, "tcp", false}},
		"127.0.0.1::80":               {want: PortMapping{"127.0.0.1", 0, 80, 1, "tcp", false}},
		"[::1]:8080:80/sctp":          {want: PortMapping{"::1", 8080, 80, 1, "sctp", false}},
		"[::1]::80":                   {want: PortMapping{"::1", 0, 80, 1, "tcp", false}},
		"8000-8010:80-90":             {want: PortMapping{"", 8000, 80, 11, "tcp", false}},
		"80-90":                       {want: PortMapping{"", 0, 80, 11, "tcp", false}},
		"1-65535:1-65535":             {want: PortMapping{"", 1, 1, 65535, "tcp", false}},
		"8000-8010:80":                {err: "different lengths"},
		"90-80":                       {err: "ends before"},
		"80/icmp":                     {err: "unknown protocol"},
		"":                            {err: "not a port number"},
		"x:80":                        {err: "not a port number"},
		"70000:80":                    {err: "not a port number"},
		"+80":                         {err: "not a port number"},
		"::1:80:80":                   {err: "in brackets"},
		"[::1:80":                     {err: "invalid address"},
		"[fe80::1%eth0]:80:80":        {err: "invalid host address"},
		"example.com:80:80":           {err: "invalid host address"},
		"1.2.3.4.5:80:80":             {err: "invalid host address"},
		"127.0.0.1:80:80 --dangerous": {err: "not a port number"},
	}
	for in, tc := range cases {
		t.Run(in, func(t *testing.T) {
			got, err := ParsePorts([]string{in})
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, %v, want %q", got, err, tc.err)
				}
				return
			}
			if err != nil || len(got) != 1 || got[0] != tc.want {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

type mountCase struct {
	want Mount
	err  string
}

func testMounts(t *testing.T, parse func(string) (Mount, error), cases map[string]mountCase) {
	t.Helper()
	for in, tc := range cases {
		t.Run(in, func(t *testing.T) {
			got, err := parse(in)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, %v, want %q", got, err, tc.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

func TestParseVolume(t *testing.T) {
	testMounts(t, ParseVolume, map[string]mountCase{
		"/data":                     {want: Mount{Type: "volume", Destination: "/data"}},
		"data:/data/":               {want: Mount{Type: "volume", Source: "data", Destination: "/data"}},
		"/h:/c:ro,Z,rslave":         {want: Mount{Type: "bind", Source: "/h", Destination: "/c", Options: []string{"ro", "Z", "rslave"}}},
		"./h:/c":                    {want: Mount{Type: "bind", Source: "./h", Destination: "/c"}},
		`/a\:b:/c`:                  {want: Mount{Type: "bind", Source: "/a:b", Destination: "/c"}},
		"/h:/c:U,idmap":             {want: Mount{Type: "bind", Source: "/h", Destination: "/c", Options: []string{"U", "idmap"}}},
		"v:/c:nocopy":               {want: Mount{Type: "volume", Source: "v", Destination: "/c", Options: []string{"nocopy"}}},
		"":                          {err: "no destination"},
		":/c":                       {err: "empty source"},
		"/h:c":                      {err: "absolute path"},
		"/h:/":                      {err: "can't be '/'"},
		"/h:/..":                    {err: "can't be '/'"},
		"a b:/c":                    {err: "invalid name"},
		"/h:/c:ro,rw":               {err: "conflict"},
		"/h:/c:z,Z":                 {err: "conflict"},
		"/h:/c:shared,slave":        {err: "conflict"},
		"/h:/c:size=3":              {err: "unknown option"},
		"/h:/c:lowerdir=/":          {err: "unknown option"},
		"/h:/c:ro:x":                {err: "too many colons"},
		"/h:/c\n":                   {err: "control characters"},
		"/h:/c:upperdir=/u":         {err: "need the option O"},
		"/h:/c:idmap=uids=0-1000-1": {want: Mount{Type: "bind", Source: "/h", Destination: "/c", Options: []string{"idmap=uids=0-1000-1"}}},
		"/h:/c:idmap=0-1000-1":      {err: "it is uids=FILE-HOST-SIZE"},
	})
}

func TestParseMount(t *testing.T) {
	testMounts(t, ParseMount, map[string]mountCase{
		"type=bind,src=/h,dst=/c": {want: Mount{Type: "bind", Source: "/h", Destination: "/c"}},
		"src=v,target=/c":         {want: Mount{Type: "volume", Source: "v", Destination: "/c"}},
		"type=bind,source=/h,destination=/c,ro,relabel=private": {want: Mount{Type: "bind", Source: "/h", Destination: "/c", Options: []string{"ro", "Z"}}},
		"readonly=false,type=bind,src=/h,dst=/c":                {want: Mount{Type: "bind", Source: "/h", Destination: "/c", Options: []string{"rw"}}},
		`type=bind,"src=/a,b",dst=/c,bind-propagation=rshared`:  {want: Mount{Type: "bind", Source: "/a,b", Destination: "/c", Options: []string{"rshared"}}},
		"type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1777":      {want: Mount{Type: "tmpfs", Destination: "/t", Options: []string{"size=64m", "mode=1777"}}},
		"type=volume,src=v,dst=/c,subpath=a/b,U=true":           {want: Mount{Type: "volume", Source: "v", Destination: "/c", SubPath: "a/b", Options: []string{"U"}}},
		"type=artifact,src=x,dst=/c":                            {err: "--mount type=artifact is not supported yet"},
		"type=image,dst=/c":                                     {err: "needs a source"},
		"type=devpts,mode=x":                                    {err: "unknown devpts option"},
		"type=magic,dst=/c":                                     {err: "unknown type"},
		"type=bind,dst=/c":                                      {err: "needs a source"},
		"type=tmpfs,src=/h,dst=/c":                              {err: "no source"},
		"type=tmpfs,dst=/c,tmpfs-size=":                         {err: "unknown tmpfs option"},
		"type=bind,src=/h,dst=/c,frob=1":                        {err: "unknown option"},
		"type=bind,src=/h,dst=/c,ro=maybe":                      {err: "true or false"},
		"type=bind,src=/h":                                      {err: "no destination"},
		"type=volume,src=v,dst=/c,subpath=../x":                 {err: "stay inside"},
		"type=bind,src=/h,dst=/c,bind-propagation=exec":         {err: "unknown bind-propagation"},
		`type="bind`: {err: "comma-separated"},
		"":           {err: "comma-separated"},
	})
}

func TestParseTmpfs(t *testing.T) {
	testMounts(t, ParseTmpfs, map[string]mountCase{
		"/t":                         {want: Mount{Type: "tmpfs", Destination: "/t"}},
		"/t:size=1m,mode=755,noexec": {want: Mount{Type: "tmpfs", Destination: "/t", Options: []string{"size=1m", "mode=755", "noexec"}}},
		"/t:source=/etc":             {err: "unknown tmpfs option"},
		"t":                          {err: "absolute"},
	})
}

func TestSplit(t *testing.T) {
	kernel, own := Mount{Options: []string{"ro", "Z", "U", "O", "upperdir=/u", "workdir=/w", "idmap", "nocopy", "rshared"}}.Split()
	if !slices.Equal(kernel, []string{"ro", "rshared"}) {
		t.Errorf("kernel %v", kernel)
	}
	want := OwnOptions{Relabel: "Z", Chown: true, Overlay: true, Upper: "/u", Work: "/w", Idmap: true, NoCopy: true}
	if own != want {
		t.Errorf("own %+v", own)
	}
}

func TestParseEnvFile(t *testing.T) {
	lookup := func(name string) (string, bool) { return "from host", name == "HOST" }
	got, err := ParseEnvFile(strings.NewReader("\ufeffA=1\n# no\n\n  B=x = y \nHOST\nUNSET\nC=\n"), lookup)
	want := []string{"A=1", "B=x = y ", "HOST=from host", "C="}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, in := range []string{"A B=1", "=1", "HO*", "A=\x00", strings.Repeat("x", maxEnvLine+1)} {
		if got, err := ParseEnvFile(strings.NewReader(in), lookup); err == nil {
			t.Errorf("%.20q gave %q", in, got)
		}
	}
}

func TestResolveEnv(t *testing.T) {
	lookup := func(name string) (string, bool) { return "v", name == "HOST" }
	environ := func() []string { return []string{"LC_A=1", "LC_B=2", "HOME=/", "=odd"} }
	cases := map[string][]string{
		"A=b=c": {"A=b=c"}, "A=": {"A="}, "HOST": {"HOST=v"}, "NONE": nil,
		"LC_*": {"LC_A=1", "LC_B=2"}, "*": {"LC_A=1", "LC_B=2", "HOME=/"}, "A*=1": {"A*=1"},
	}
	for in, want := range cases {
		if got, err := ResolveEnv(in, lookup, environ); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "=x", "A=\x00"} {
		if _, err := ResolveEnv(in, lookup, environ); err == nil {
			t.Errorf("%q was accepted", in)
		}
	}
}

func TestSmallParsers(t *testing.T) {
	id := uint32(7)
	must := func(got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	refuse := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%q was accepted", what)
		}
	}
	u, err := ParseUlimit("NOFILE=10:-1")
	must(u, Ulimit{"nofile", 10, math.MaxUint64}, err)
	for _, s := range []string{"", "nofile", "nofile=", "files=1", "nofile=1:2:3", "nofile=-1:3", "nofile=-2"} {
		_, err := ParseUlimit(s)
		refuse(s, err)
	}
	ns, err := ParseUserNS("keep-id:uid=7,gid=7")
	must(ns, UserNS{KeepID: true, UID: &id, GID: &id}, err)
	for _, s := range []string{"keep-id:", "keep-id:uid=-1", "keep-id:pid=1", "host:x", "own", "keep-id:uid=4294967295"} {
		_, err := ParseUserNS(s)
		refuse(s, err)
	}
	ns, err = ParseUserNS("keep-id:size=9")
	must(ns, UserNS{KeepID: true, Size: 9}, err)
	ns, err = ParseUserNS("auto:size=9,uidmapping=0:1:1")
	must(ns, UserNS{Auto: true, Size: 9, UIDMap: []rspec.LinuxIDMapping{{HostID: 1, Size: 1}}}, err)
	ns, err = ParseUserNS("container:x")
	must(ns, UserNS{Container: "x"}, err)
	ns, err = ParseUserNS("ns:/x")
	must(ns, UserNS{Path: "/x"}, err)
	for _, s := range []string{"nomap:x", "auto:uid=1", "auto:uidmapping=+0:1:1", "auto:size=0", "container:", "ns:x"} {
		_, err := ParseUserNS(s)
		refuse(s, err)
	}
	d, err := ParseDevice("/dev/a:/dev/b:rw")
	must(d, Device{"/dev/a", "/dev/b", "rw"}, err)
	d, err = ParseDevice("/dev/a:r")
	must(d, Device{"/dev/a", "/dev/a", "r"}, err)
	for _, s := range []string{"", "a", "/dev/a:b", "/dev/a:/b:x", "/a:/b:r:w", "/a:/b:"} {
		_, err := ParseDevice(s)
		refuse(s, err)
	}
	policy, n, err := ParseRestart("on-failure:3")
	must([]any{policy, n}, []any{"on-failure", uint(3)}, err)
	for _, s := range []string{"always:3", "on-failure:", "on-failure:-1", "never"} {
		_, _, err := ParseRestart(s)
		refuse(s, err)
	}
	size, err := ParseSize("64M")
	must(size, int64(64<<20), err)
	for _, s := range []string{"", "-1", "1x", "1e300", "NaN", "9999999p"} {
		_, err := ParseSize(s)
		refuse(s, err)
	}
	var log Log
	must(ParseLogOpts([]string{"path=/l", "tag=t", "max-size=1k"}, &log), nil, nil)
	must(log, Log{Path: "/l", Tag: "t", MaxSize: 1000}, nil)
	log = Log{}
	must(ParseLogOpts([]string{"max-age=24h", "max-file=3", "label=a=b=c", "labels=x,y", "label=d="}, &log), nil, nil)
	must(log, Log{MaxAge: 24 * time.Hour, MaxFiles: 3, Labels: []string{"a=b=c", "d="}, LabelNames: []string{"x", "y"}}, nil)
	must((&Container{Log: log, Labels: map[string]string{"x": "1", "z": "2"}}).LogDetails(), "a=b=c,d=,x=1", nil)
	for _, s := range []string{"x=1", "max-age=1", "max-size=-1", "max-size=x", "max-age=-1h", "max-file=0", "max-file=x", "max-file=5000", "label=a", "label==a", "env=X", "path"} {
		refuse(s, ParseLogOpts([]string{s}, &log))
	}
}

func TestParseSecurityOpt(t *testing.T) {
	var s Security
	for _, o := range []string{"no-new-privileges", "seccomp=unconfined", "label=disable", "label:type:t", "apparmor=p", "mask=/a:/b", "unmask=all", "proc-opts=hidepid=2,nosuid"} {
		if err := ParseSecurityOpt(o, &s); err != nil {
			t.Fatal(err)
		}
	}
	want := Security{
		NoNewPrivileges: true, Seccomp: "unconfined", Label: []string{"disable", "type:t"}, AppArmor: "p",
		Mask: []string{"/a", "/b"}, Unmask: []string{"ALL"}, ProcOpts: []string{"hidepid=2", "nosuid"},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v", s)
	}
	if err := ParseSecurityOpt("no-new-privileges=false", &s); err != nil || s.NoNewPrivileges {
		t.Errorf("not switched off: %v", err)
	}
	for _, o := range []string{"", "seccomp", "frob=1", "no-new-privileges=x", "systempaths=x"} {
		if err := ParseSecurityOpt(o, &s); err == nil {
			t.Errorf("%q was accepted", o)
		}
	}
}
