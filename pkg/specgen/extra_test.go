package specgen

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseSecret(t *testing.T) {
	for in, want := range map[string]Secret{
		"key":                     {Name: "key", Mode: 0o444},
		"source=key,mode=0600":    {Name: "key", Mode: 0o600},
		"key,target=/a/b,uid=5":   {Name: "key", Target: "/a/b", UID: 5, Mode: 0o444},
		"key,type=env,target=VAR": {Name: "key", Env: true, Target: "VAR", Mode: 0o444},
		"key,gid=7,target=sub/k":  {Name: "key", Target: "sub/k", GID: 7, Mode: 0o444},
	} {
		if got, err := ParseSecret(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, bad := range []string{
		"", ",type=mount", "key,type=file", "key,mode=9", "key,mode=17777", "key,uid=-1", "key,what=1", "key,target",
		"key,target=../x", "key,target=/run/secrets/../../x", "key,target=/", "key,type=env,mode=0400", "key,type=env,target=A=B", "a\nb",
	} {
		if got, err := ParseSecret(bad); err == nil {
			t.Errorf("%q accepted: %+v", bad, got)
		}
	}
	for in, want := range map[string]string{"key": "/run/secrets/key", "key,target=a/b": "/run/secrets/a/b", "key,target=/x//y": "/x/y"} {
		if s, err := ParseSecret(in); err != nil || s.Path() != want {
			t.Errorf("%s is at %s, want %s (%v)", in, s.Path(), want, err)
		}
	}
}

func TestValidateExtra(t *testing.T) {
	for name, c := range map[string]struct {
		spec Container
		want string
	}{
		"secret twice":    {Container{Secrets: []Secret{{Name: "a"}, {Name: "b", Target: "a"}}}, "used twice"},
		"passwd entry":    {Container{Accounts: Accounts{PasswdEntry: "a:b"}}, "7 fields"},
		"passwd lines":    {Container{Accounts: Accounts{PasswdEntry: "a:b:1:1::/:\nroot2::0:0::/:"}}, "one line"},
		"group entry":     {Container{Accounts: Accounts{GroupEntry: "a:b:1"}}, "4 fields"},
		"host user":       {Container{Accounts: Accounts{HostUsers: []string{"a:b"}}}, "invalid user"},
		"sdnotify":        {Container{SDNotify: "yes"}, "--sdnotify"},
		"systemd":         {Container{Process: Process{Systemd: "yes"}}, "--systemd"},
		"personality":     {Container{Process: Process{Personality: "BSD"}}, "--personality"},
		"chroot dirs":     {Container{Storage: Storage{ChrootDirs: []string{"/a/../../b"}}}, "--chrootdirs"},
		"env merge":       {Container{Process: Process{EnvMerge: []string{"A"}}}, "--env-merge"},
		"rdt":             {Container{Resources: Resources{RDTClass: "a/b"}}, "--rdt-class"},
		"maps and userns": {Container{Spaces: Spaces{User: "host", UIDMap: []string{"0:0:1"}}}, "mutually exclusive"},
		"bad map":         {Container{Spaces: Spaces{UIDMap: []string{"x"}}}, "malformed"},
		"map and name":    {Container{Spaces: Spaces{UIDMap: []string{"0:0:1"}, SubUIDName: "a"}}, "exclude each other"},
		"rmi":             {Container{RemoveImage: true}, "--rmi"},
	} {
		if err := c.spec.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestSystemdMode(t *testing.T) {
	for name, c := range map[string]struct {
		systemd string
		command []string
		want    bool
	}{
		"systemd":  {"", []string{"/lib/systemd/systemd"}, true},
		"init":     {"true", []string{"/sbin/init", "3"}, true},
		"other":    {"", []string{"/bin/init"}, false},
		"off":      {"false", []string{"/sbin/init"}, false},
		"always":   {"always", []string{"sh"}, true},
		"argument": {"", []string{"sh", "/sbin/init"}, false},
	} {
		spec := Container{Process: Process{Systemd: c.systemd}}
		if err := spec.ApplyImage(ImageConfig{Cmd: c.command}); err != nil {
			t.Fatal(err)
		}
		if got := spec.SystemdMode(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if stop := spec.Process.StopSignal; c.want != (stop == "SIGRTMIN+3") {
			t.Errorf("%s: stop signal %q", name, stop)
		}
	}
}

func TestEnvMerge(t *testing.T) {
	spec := Container{Process: Process{EnvMerge: []string{"A=${A}-b", "N=${NONE}-c"}, Env: []string{"X=1"}}}
	if err := spec.ApplyImage(ImageConfig{Cmd: []string{"sh"}, Env: []string{"A=a"}}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(spec.Process.Env, " "); got != "A=a-b N=-c X=1" {
		t.Errorf("environment %s", got)
	}
}
