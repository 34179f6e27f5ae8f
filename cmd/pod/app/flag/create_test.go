package flag

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/specgen"
)

func testHost(dir string) Host {
	env := map[string]string{"HOST": "h", "LC_A": "a", "HTTP_PROXY": "proxy", "https_proxy": "sproxy", "PODMAN_USERNS": "keep-id"}
	return Host{
		LookupEnv: func(n string) (string, bool) { v, ok := env[n]; return v, ok },
		Environ:   func() []string { return []string{"HOST=h", "LC_A=a"} },
		Open:      func(n string) (io.ReadCloser, error) { return os.Open(n) },
		Abs: func(p string) (string, error) {
			if filepath.IsAbs(p) {
				return p, nil
			}
			return filepath.Join(dir, p), nil
		},
	}
}

func parse(t *testing.T, args ...string) (*specgen.Container, *CreateOptions, *RunOptions, error) {
	t.Helper()
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	fs.SetInterspersed(false)
	c := &specgen.Container{}
	o, r := Create(fs, c), Run(fs)
	if err := fs.Parse(args); err != nil {
		return c, o, r, err
	}
	return c, o, r, o.Finish(c, fs.Args(), testHost("/cwd"))
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	envFile, labelFile := filepath.Join(dir, "env"), filepath.Join(dir, "labels")
	for name, text := range map[string]string{envFile: "F=file\nA=file\nHOST\n", labelFile: "l=file\nm=file\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, o, r, err := parse(t, "-dit", "--rm", "--name=web", "-e", "A=word", "-e", "LC_*", "-e", "NONE", "--env-file", envFile,
		"--label-file", labelFile, "-l", "l=word", "-v", "./src:/dst:ro", "--mount", "type=tmpfs,dst=/t", "--tmpfs", "/u",
		"-p", "8080:80,53:53/udp", "-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--pids-limit", "0", "--stop-timeout", "0",
		"--entrypoint", `["a","b"]`, "--restart", "no", "--cap-add", "chown,net_raw", "--sysctl", "net.a=1,net.b=2",
		"--tls-verify=false", "--pull", "newer", "--arch", "arm64", "--variant", "v8", "--security-opt", "seccomp=p.json",
		"--log-opt", "max-size=1k", "--net", "host", "--read-only", "--read-only-tmpfs=false", "--cidfile", "id",
		"image", "cmd", "-x")
	if err != nil {
		t.Fatal(err)
	}
	zero, none, no := int64(0), uint(0), false
	want := &specgen.Container{
		Name: "web", Image: "image", Remove: true, Restart: "no", CIDFile: "/cwd/id",
		Labels: map[string]string{"l": "word", "m": "file"},
		Process: specgen.Process{
			Entrypoint: []string{"a", "b"}, Command: []string{"cmd", "-x"}, Terminal: true, Stdin: true, StopTimeout: &none,
			Env:         []string{"F=file", "A=file", "HOST=h", "A=word", "LC_A=a"},
			EnvDefaults: []string{"HTTP_PROXY=proxy", "https_proxy=sproxy"},
		},
		Security: specgen.Security{
			CapAdd: []string{"chown", "net_raw"}, Sysctl: map[string]string{"net.a": "1", "net.b": "2"},
			Seccomp: "/cwd/p.json", ReadOnly: true, ReadOnlyTmpfs: &no,
		},
		Resources: specgen.Resources{Memory: 64 << 20, MemorySwap: -1, CPUs: 1.5, PidsLimit: &zero},
		Spaces:    specgen.Spaces{User: "keep-id"},
		Network: specgen.Network{Mode: "host", Ports: []specgen.PortMapping{
			{HostPort: 8080, ContainerPort: 80, Range: 1, Protocol: "tcp"}, {HostPort: 53, ContainerPort: 53, Range: 1, Protocol: "udp"},
		}},
		Storage: specgen.Storage{Mounts: []specgen.Mount{
			{Type: "bind", Source: "/cwd/src", Destination: "/dst", Options: []string{"ro"}},
			{Type: "tmpfs", Destination: "/t"},
			{Type: "tmpfs", Destination: "/u"},
		}},
		Log: specgen.Log{MaxSize: 1000},
	}
	want.Security.NoNewPrivileges = false
	slices.SortFunc(c.Process.EnvDefaults, strings.Compare)
	slices.SortFunc(want.Process.EnvDefaults, strings.Compare)
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if !r.Detach || !r.SigProxy || r.DetachKeys != "ctrl-p,ctrl-q" {
		t.Errorf("run options %+v", r)
	}
	if o.Pull != "newer" || o.Platform != "linux/arm64/v8" || o.TLSVerify == nil || *o.TLSVerify || o.Retry != nil {
		t.Errorf("options %+v", o)
	}
}

// A flag that was not given leaves its field unset: the image, the
// configuration or libpod decides then.
func TestCreateDefaults(t *testing.T) {
	c, o, _, err := parse(t, "--http-proxy=false", "--userns=host", "image")
	if err != nil {
		t.Fatal(err)
	}
	if want := (&specgen.Container{Image: "image", Spaces: specgen.Spaces{User: "host"}}); !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v", c)
	}
	if o.Pull != "" || o.TLSVerify != nil || o.Retry != nil {
		t.Errorf("options %+v", o)
	}
}

func TestCreateVariants(t *testing.T) {
	cases := map[string]struct {
		args []string
		ok   func(*specgen.Container) bool
	}{
		"no entrypoint":   {[]string{"--entrypoint", "", "i", "c"}, func(c *specgen.Container) bool { return c.Process.Entrypoint != nil && len(c.Process.Entrypoint) == 0 }},
		"word entrypoint": {[]string{"--entrypoint", "[", "i"}, func(c *specgen.Container) bool { return slices.Equal(c.Process.Entrypoint, []string{"["}) }},
		"no command":      {[]string{"i"}, func(c *specgen.Container) bool { return c.Process.Command == nil }},
		"private network": {[]string{"--network", "private", "i"}, func(c *specgen.Container) bool { return c.Network.Mode == "" }},
		"env of host": {[]string{"--env-host", "i"}, func(c *specgen.Container) bool {
			return slices.Equal(c.Process.EnvDefaults, []string{"HOST=h", "LC_A=a"})
		}},
		"rootfs":     {[]string{"--rootfs", "r", "c"}, func(c *specgen.Container) bool { return c.Rootfs == "/cwd/r" && c.Image == "" }},
		"retries":    {[]string{"--restart", "on-failure:4", "i"}, func(c *specgen.Container) bool { return c.Restart == "on-failure" && c.RestartRetries == 4 }},
		"unconfined": {[]string{"--security-opt", "seccomp=unconfined", "i"}, func(c *specgen.Container) bool { return c.Security.Seccomp == "unconfined" }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, _, _, err := parse(t, tc.args...)
			if err != nil || !tc.ok(c) {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"no image":           {nil, "requires at least 1 arg"},
		"two modes":          {[]string{"--network", "a", "--network", "host", "i"}, "cannot set multiple networks"},
		"address and modes":  {[]string{"--ip", "10.0.0.1", "i"}, "can only be used with Bridge mode"},
		"address of two":     {[]string{"--ip", "10.0.0.1", "--network", "a", "--network", "b", "i"}, "single network"},
		"address family":     {[]string{"--ip6", "10.0.0.1", "--network", "a", "i"}, "not an address of the family"},
		"network option":     {[]string{"--network", "a:x=y", "i"}, "unknown option x"},
		"platform and arch":  {[]string{"--platform", "linux/arm64", "--arch", "arm64", "i"}, "--platform option can not"},
		"variant alone":      {[]string{"--variant", "v8", "i"}, "needs --arch"},
		"pull policy":        {[]string{"--pull", "maybe", "i"}, "not always, missing, never or newer"},
		"attach":             {[]string{"-a", "stdlog", "i"}, "is not stdin"},
		"missing env file":   {[]string{"--env-file", "/nowhere/e", "i"}, "environment file /nowhere/e: no such file or directory"},
		"missing label file": {[]string{"--label-file", "/nowhere/l", "i"}, "label file /nowhere/l: no such file or directory"},
		"env":                {[]string{"-e", "=x", "i"}, "invalid environment variable"},
		"port":               {[]string{"-p", "x", "i"}, "not a port number"},
		"sysctl":             {[]string{"--sysctl", "x", "i"}, "NAME=VALUE"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := parse(t, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	r := &RunOptions{Detach: true}
	if r.Check(&CreateOptions{Attach: []string{"stdin"}}) == nil {
		t.Error("--detach with --attach was accepted")
	}
}

func TestUnsupported(t *testing.T) {
	for _, args := range [][]string{{"--odd", "i"}, {"--odd=x", "i"}} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		Unsupported(fs, "odd")
		err := fs.Parse(args)
		name, _, _ := strings.Cut(args[0], "=")
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || Cause(err).Error() != name+" is not supported yet" {
			t.Errorf("%v: got %v", args, err)
		}
	}
	_, _, _, err := parse(t, "--mount", "type=artifact,src=a,dst=/a", "i")
	if Cause(err).Error() != "--mount type=artifact is not supported yet" {
		t.Errorf("got %v", Cause(err))
	}
	plain := errors.New("x")
	if !errors.Is(Cause(plain), plain) {
		t.Error("Cause changed another error")
	}
}

// Every flag says what it does, and shorthands are the field's.
func TestFlagsAreDescribed(t *testing.T) {
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	Create(fs, &specgen.Container{})
	Run(fs)
	short := ""
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Usage == "" || strings.Contains(f.Usage, "\n") {
			t.Errorf("--%s: usage %q", f.Name, f.Usage)
		}
		short += f.Shorthand
	})
	letters := strings.Split(short, "")
	slices.Sort(letters)
	if got := strings.Join(letters, ""); got != "Pacdehilmpqtuvw" {
		t.Errorf("shorthands %s", got)
	}
}
