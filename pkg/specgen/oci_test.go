package specgen

import (
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func defaultCaps() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
		"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
	}
}

// rootless are the facts of an unprivileged user with sub-ids.
func rootless() Facts {
	return Facts{
		ID: strings.Repeat("ab", 32), RootfsPath: "/store/merged", Rootless: true, Home: "/root",
		Env:                 []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		DefaultCapabilities: defaultCaps(),
		Bounding:            append(defaultCaps(), "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"),
		MaxUlimits:          map[string]uint64{"RLIMIT_NOFILE": 4096, "RLIMIT_NPROC": math.MaxUint64},
		DefaultPidsLimit:    2048, Controllers: []string{"cpu", "memory", "pids"},
		CgroupsPath: "user.slice:libpod:abab", CgroupV2: true, NetNS: "/run/netns/n", Hostname: "abababababab",
		Binds: []rspec.Mount{
			{Destination: "/etc/hosts", Type: "bind", Source: "/run/c/hosts", Options: []string{"bind", "rprivate"}},
			{Destination: "/run/.containerenv", Type: "bind", Source: "/run/c/.containerenv", Options: []string{"bind", "rprivate"}},
		},
		Volumes: map[string]string{"data": "/store/volumes/data/_data"},
	}
}

func shell() Container { return Container{Process: Process{Entrypoint: []string{"/bin/sh"}}} }

func TestToOCIGolden(t *testing.T) {
	no := false
	cases := map[string]func(c *Container, f *Facts){
		"plain": func(*Container, *Facts) {},
		"everything": func(c *Container, f *Facts) {
			c.Process.Command = []string{"-c", "id"}
			c.Process.Env = []string{"A=1", "HOME=/home/u"}
			c.Process.Terminal, c.Process.Init, c.Process.WorkDir, c.Process.Umask = true, true, "/srv/", "0077"
			f.UID, f.GID, f.Groups, f.Home = 1000, 1000, []uint32{10, 1000}, "/home/u"
			c.Security.CapAdd, c.Security.CapDrop = []string{"net_raw"}, []string{"CAP_CHOWN"}
			c.Security.NoNewPrivileges = true
			c.Security.Unmask, c.Security.Mask = []string{"/proc/acpi", "/sys/*"}, []string{"/srv/secret"}
			c.Security.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
			c.Security.Devices = []string{"/dev/fuse", "/dev/sda:/dev/xvda:r"}
			c.Security.Ulimits = []string{"nofile=64:128"}
			c.Resources = Resources{Memory: 64 << 20, CPUs: 1.5, CPUShares: 512, ShmSize: 1 << 20}
			c.Annotations = map[string]string{"a": "b"}
			c.Storage.Mounts = []Mount{
				{Type: "bind", Source: "/src/deep", Destination: "/a/b", Options: []string{"ro", "Z", "exec", "rshared"}},
				{Type: "bind", Source: "/src", Destination: "/a"},
				{Type: "volume", Source: "data", Destination: "/data", Options: []string{"nocopy", "dev"}},
				{Type: "tmpfs", Destination: "/tmp", Options: []string{"size=1m", "noexec"}},
				{Type: "bind", Source: "/my/hosts", Destination: "/etc/hosts"},
			}
		},
		"privileged": func(c *Container, f *Facts) {
			c.Security.Privileged = true
			f.HostDevices = []rspec.LinuxDevice{{Path: "/dev/null", Type: "c", Major: 1, Minor: 3}, {Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}}
			f.Seccomp = &rspec.LinuxSeccomp{DefaultAction: rspec.ActErrno}
		},
		"keep-id-host-spaces": func(c *Container, f *Facts) {
			f.UIDMap = []rspec.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 1000}, {ContainerID: 1000, HostID: 0, Size: 1}}
			f.GIDMap = []rspec.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 5}}
			f.NetNS = "host"
			c.Spaces = Spaces{PID: "host", IPC: "host", UTS: "host", Cgroup: "host", User: "keep-id"}
		},
		"read-only-no-tmpfs": func(c *Container, f *Facts) {
			c.Security.ReadOnly, c.Security.ReadOnlyTmpfs = true, &no
			f.Controllers, f.CgroupsPath, f.SingleID = nil, "", true
		},
		"read-only": func(c *Container, _ *Facts) { c.Security.ReadOnly = true },
		"rootful": func(c *Container, f *Facts) {
			f.Rootless = false
			f.HostDevices = []rspec.LinuxDevice{{Path: "/dev/snd/seq", Type: "c", Major: 116, Minor: 1}, {Path: "/dev/snd/timer", Type: "c", Major: 116, Minor: 33}}
			c.Security.Devices = []string{"/dev/snd:/dev/sound:rw"}
			c.Security.DeviceCgroupRules = []string{"c 81:* rwm"}
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			c, f := shell(), rootless()
			change(&c, &f)
			if err := c.Validate(); err != nil {
				t.Fatalf("Validate: %v", err)
			}
			spec, err := c.ToOCI(f)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(spec, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", "oci", name+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("the specification differs from %s; if that is meant: go test -update\n%s", file, got)
			}
		})
	}
}

func TestToOCIRefuses(t *testing.T) {
	cases := map[string]struct {
		change func(c *Container, f *Facts)
		want   string
	}{
		"no command":          {func(c *Container, _ *Facts) { c.Process.Entrypoint = nil }, "no command or entrypoint provided"},
		"ulimit above":        {func(c *Container, _ *Facts) { c.Security.Ulimits = []string{"nofile=9000:9000"} }, "the hard limit is 4096"},
		"capability not held": {func(c *Container, _ *Facts) { c.Security.CapAdd = []string{"SYS_BOOT"} }, "--cap-add CAP_SYS_BOOT"},
		"net sysctl of host": {func(c *Container, f *Facts) {
			f.NetNS, c.Security.Sysctl = "host", map[string]string{"net.core.somaxconn": "1"}
		}, "--network=host"},
		"ipc sysctl of host": {func(c *Container, _ *Facts) {
			c.Spaces.IPC, c.Security.Sysctl = "host", map[string]string{"kernel.msgmax": "1"}
		}, "--ipc=host"},
		"unmapped user":   {func(_ *Container, f *Facts) { f.UID, f.SingleID = 7, true }, "user id 7 is not mapped"},
		"unmapped in own": {func(_ *Container, f *Facts) { f.UIDMap = []rspec.LinuxIDMapping{{Size: 1}}; f.UID = 1 }, "user id 1 is not mapped"},
		"unknown volume": {func(c *Container, _ *Facts) {
			c.Storage.Mounts = []Mount{{Type: "volume", Source: "x", Destination: "/x"}}
		}, `volume "x" has no directory`},
		"duplicate": {func(c *Container, _ *Facts) {
			m := Mount{Type: "tmpfs", Destination: "/x"}
			c.Storage.Mounts = []Mount{m, m}
		}, "duplicate mount destination"},
		"subpath": {func(c *Container, _ *Facts) {
			c.Storage.Mounts = []Mount{{Type: "volume", Source: "data", SubPath: "s", Destination: "/x"}}
		}, "is not mounted"},
		"oom score":         {func(c *Container, f *Facts) { n := -5; c.Process.OOMScoreAdj, f.OOMScoreAdj = &n, 100 }, "can only raise it"},
		"rule without root": {func(c *Container, _ *Facts) { c.Security.DeviceCgroupRules = []string{"c 1:1 r"} }, "needs root"},
		"device not there":  {func(c *Container, f *Facts) { f.Rootless = false; c.Security.Devices = []string{"/dev/nope"} }, "no device at /dev/nope"},
		"swap unaccounted": {func(c *Container, f *Facts) {
			c.Resources.Memory, c.Resources.MemorySwap, f.NoSwapLimit = 8<<20, -1, true
		}, "does not account swap"},
		"joined without path": {func(c *Container, _ *Facts) { c.Spaces.PID = "container:x" }, "has no path"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, f := shell(), rootless()
			tc.change(&c, &f)
			_, err := c.ToOCI(f)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestMissingController(t *testing.T) {
	three := int64(3)
	cases := map[string]struct {
		r          Resources
		flag, ctrl string
	}{
		"memory": {Resources{Memory: 8 << 20}, "--memory", "memory"},
		"cpus":   {Resources{CPUs: 1}, "--cpus", "cpu"},
		"cpuset": {Resources{CPUSetCPUs: "0"}, "--cpuset-cpus", "cpuset"},
		"pids":   {Resources{PidsLimit: &three}, "--pids-limit", "pids"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, f := shell(), rootless()
			c.Resources, f.Controllers = tc.r, []string{"io"}
			_, err := c.ToOCI(f)
			var missing *MissingControllerError
			if !errors.As(err, &missing) || missing.Flag != tc.flag || missing.Controller != tc.ctrl {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), "Delegate=cpu") || strings.Contains(err.Error(), "\n") {
				t.Errorf("no remedy on one line: %v", err)
			}
		})
	}
	// What nobody asked for, and what asks for no limit, is no error.
	c, f := shell(), rootless()
	none := int64(-1)
	c.Resources.PidsLimit, f.Controllers = &none, nil
	spec, err := c.ToOCI(f)
	if err != nil || spec.Linux.Resources != nil {
		t.Errorf("got %v, %v", spec, err)
	}
}

func TestCapabilities(t *testing.T) {
	cases := map[string]struct {
		sec                Security
		uid                uint32
		bounding, ambient  []string
		effectiveIsAmbient bool
	}{
		"default":          {bounding: defaultCaps()},
		"drop all":         {sec: Security{CapDrop: []string{"all"}}},
		"drop all add one": {sec: Security{CapDrop: []string{"ALL"}, CapAdd: []string{"chown"}}, bounding: []string{"CAP_CHOWN"}},
		"add all":          {sec: Security{CapAdd: []string{"ALL"}, CapDrop: []string{"SYS_ADMIN"}}, bounding: append(defaultCaps(), "CAP_NET_ADMIN", "CAP_NET_RAW")},
		"user":             {uid: 1, bounding: defaultCaps(), effectiveIsAmbient: true},
		"user adds":        {uid: 1, sec: Security{CapAdd: []string{"NET_RAW"}}, bounding: append(defaultCaps(), "CAP_NET_RAW"), ambient: []string{"CAP_NET_RAW"}, effectiveIsAmbient: true},
		"privileged user":  {uid: 1, sec: Security{Privileged: true}, bounding: rootless().Bounding, effectiveIsAmbient: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, f := shell(), rootless()
			c.Security, f.UID = tc.sec, tc.uid
			caps, err := c.capabilities(&f)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(tc.bounding)
			if !slices.Equal(caps.Bounding, tc.bounding) {
				t.Errorf("bounding %v, want %v", caps.Bounding, tc.bounding)
			}
			if !slices.Equal(caps.Ambient, tc.ambient) || !slices.Equal(caps.Inheritable, tc.ambient) {
				t.Errorf("ambient %v, inheritable %v, want %v", caps.Ambient, caps.Inheritable, tc.ambient)
			}
			want := tc.bounding
			if tc.effectiveIsAmbient {
				want = tc.ambient
			}
			if !slices.Equal(caps.Effective, want) || !slices.Equal(caps.Permitted, want) {
				t.Errorf("effective %v, permitted %v, want %v", caps.Effective, caps.Permitted, want)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	c, f := shell(), rootless()
	f.Env = []string{"PATH=/conf", "EDITOR=vi"}
	c.Process.EnvDefaults = []string{"http_proxy=p"}
	c.Process.Env = []string{"HOME=/x", "EDITOR=ed"}
	c.Process.UnsetEnv = []string{"container"}
	want := []string{"PATH=/conf", "HOSTNAME=abababababab", "HOME=/x", "EDITOR=ed", "http_proxy=p"}
	if got := c.environment(&f); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c.Process.UnsetEnvAll = true
	if got := c.environment(&f); !slices.Equal(got, c.Process.Env) {
		t.Errorf("unset all: got %v", got)
	}
}

func TestMountsFollowTheHost(t *testing.T) {
	c, f := shell(), rootless()
	c.Spaces.IPC, f.NoMqueue = "host", true
	c.Storage.Mounts = []Mount{
		{Type: "bind", Source: "/dev", Destination: "/dev"},
		{Type: "bind", Source: "/dev/snd", Destination: "/s", Options: []string{"nodev"}},
		{Type: "volume", Source: "data", SubPath: "sub", Destination: "/v"},
	}
	f.MountSources = map[string]string{"/v": "/resolved/sub"}
	spec, err := c.ToOCI(f)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]rspec.Mount{}
	for _, m := range spec.Mounts {
		at[m.Destination] = m
	}
	if m := at["/dev"]; m.Type != "bind" || slices.Contains(m.Options, "nodev") {
		t.Errorf("devices cannot be used: %v", m)
	}
	if !slices.Contains(at["/s"].Options, "nodev") {
		t.Errorf("nodev is lost: %v", at["/s"])
	}
	for _, hidden := range []string{"/dev/pts", "/dev/shm", "/dev/mqueue"} {
		if m, ok := at[hidden]; ok {
			t.Errorf("mounted inside the host's /dev: %v", m)
		}
	}
	if at["/v"].Source != "/resolved/sub" {
		t.Errorf("resolved source is not used: %v", at["/v"])
	}
	c.Storage.Mounts = nil
	mounts, err := c.ociMounts(&f)
	if err != nil || slices.ContainsFunc(mounts, func(m rspec.Mount) bool { return m.Destination == "/dev/mqueue" }) {
		t.Errorf("/dev/mqueue is bound though the host has none: %v", err)
	}
}

// A description is converted again at each start; the first must leave it and
// the facts as they are.
func TestToOCIIsPure(t *testing.T) {
	c, f := shell(), rootless()
	c.Storage.Mounts = []Mount{{Type: "bind", Source: "/b", Destination: "/b"}, {Type: "bind", Source: "/a", Destination: "/a", Options: []string{"ro"}}}
	c.Annotations = map[string]string{"a": "b"}
	c.Process.Groups = []string{"keep-groups"}
	before, _ := json.Marshal([]any{c, f})
	spec, err := c.ToOCI(f)
	if err != nil {
		t.Fatal(err)
	}
	if spec.Annotations["run.oci.keep_original_groups"] != "1" {
		t.Error("keep-groups is not passed on")
	}
	after, _ := json.Marshal([]any{c, f})
	if string(before) != string(after) {
		t.Errorf("changed:\n%s\n%s", before, after)
	}
}

func BenchmarkToOCI(b *testing.B) {
	c, f := shell(), rootless()
	c.Storage.Mounts = []Mount{{Type: "bind", Source: "/b", Destination: "/b"}, {Type: "tmpfs", Destination: "/tmp"}}
	for b.Loop() {
		if _, err := c.ToOCI(f); err != nil {
			b.Fatal(err)
		}
	}
}
