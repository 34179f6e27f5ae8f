package specgen

import (
	"strings"
	"testing"
)

// What a parser accepts, Validate and ToOCI must be able to live with.

func FuzzParsePorts(f *testing.F) {
	for _, s := range []string{"80", "1-3:4-6/udp", "[::1]::80", "127.0.0.1:1:2", "[]:1:2", ":::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ports, err := ParsePorts([]string{s})
		if err != nil {
			return
		}
		n := Network{Ports: ports}
		if err := n.validatePorts(); err != nil && !strings.Contains(err.Error(), "1 to 65535") {
			t.Errorf("%q: accepted as %+v, then %v", s, ports, err)
		}
	})
}

func fuzzMount(f *testing.F, parse func(string) (Mount, error)) {
	f.Helper()
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parse(s)
		if err != nil {
			return
		}
		if !strings.HasPrefix(m.Destination, "/") || m.Destination == "/" || hasControl(m.Destination) || hasControl(m.Source) {
			t.Errorf("%q: accepted as %+v", s, m)
		}
		if m.Type == "bind" && !strings.HasPrefix(m.Source, "/") {
			return // made absolute by the command line
		}
		c := Container{Storage: Storage{Mounts: []Mount{m}}}
		if err := c.Validate(); err != nil {
			t.Errorf("%q: accepted as %+v, then %v", s, m, err)
		}
		kernel, _ := m.Split()
		for _, o := range kernel {
			if strings.ContainsAny(o, ", \n") {
				t.Errorf("%q: option %q", s, o)
			}
		}
	})
}

func FuzzParseVolume(f *testing.F) {
	for _, s := range []string{"/a", "v:/a", "/a:/b:ro,Z", `/a\:b:/c`, "../x:/y:O,upperdir=/u,workdir=/w"} {
		f.Add(s)
	}
	fuzzMount(f, ParseVolume)
}

func FuzzParseMount(f *testing.F) {
	for _, s := range []string{"type=bind,src=/a,dst=/b,ro", `"src=a,b",dst=/c`, "type=tmpfs,dst=/t,tmpfs-size=1m", "type=volume,dst=/a,subpath=b"} {
		f.Add(s)
	}
	fuzzMount(f, ParseMount)
}

func FuzzParseTmpfs(f *testing.F) {
	f.Add("/t:size=1m,mode=1777,exec")
	fuzzMount(f, ParseTmpfs)
}

func FuzzParseEnvFile(f *testing.F) {
	for _, s := range []string{"A=1\nB\n#c\n", "\ufeff A=b", "A\x00=1", "X*\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		env, err := ParseEnvFile(strings.NewReader(s), func(string) (string, bool) { return "host", true })
		if err != nil {
			return
		}
		p := Process{Env: env}
		if err := p.validate(); err != nil {
			t.Errorf("%q: accepted as %q, then %v", s, env, err)
		}
	})
}

// An image's configuration, whatever it holds, must not make ApplyImage or
// ToOCI fail in another way than with an error, nor take host variables.
func FuzzApplyImage(f *testing.F) {
	f.Add("A=b", "HOME*", "/v", "u:g", "80/tcp", "/w", "SIGTERM")
	f.Add("", "*", "../../proc", ":", "1-0", "..", "-1")
	f.Fuzz(func(t *testing.T, env, env2, volume, user, port, dir, sig string) {
		c := shell()
		err := c.ApplyImage(ImageConfig{
			Env: []string{env, env2}, Volumes: []string{volume}, User: user, ExposedPorts: []string{port},
			WorkingDir: dir, StopSignal: sig,
		})
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("applied, then %v", err)
		}
		for _, e := range c.Process.Env {
			if e != env && e != env2 {
				t.Errorf("variable %q is not the image's", e)
			}
		}
	})
}

func FuzzSmallParsers(f *testing.F) {
	for _, s := range []string{"nofile=1:2", "keep-id:uid=1", "/dev/a:/b:rw", "seccomp=x", "path=/a", "c 1:* rwm", "on-failure:3", "64m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := ParseUlimit(s); err == nil && u.Soft > u.Hard {
			t.Errorf("%q: %+v", s, u)
		}
		if d, err := ParseDevice(s); err == nil && (hasControl(d.Container) || d.Container == "/") {
			t.Errorf("%q: %+v", s, d)
		}
		if n, err := ParseSize(s); err == nil && n < 0 {
			t.Errorf("%q: %d", s, n)
		}
		_, _ = ParseUserNS(s)
		_, _ = parseDeviceRule(s)
		_, _, _ = ParseRestart(s)
		_ = ParseSecurityOpt(s, &Security{})
		_ = ParseLogOpts([]string{s}, &Log{})
	})
}
