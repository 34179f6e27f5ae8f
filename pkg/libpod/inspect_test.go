package libpod

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// keyTree is the field's keys with their JSON types: those always seen, and
// those that exist.
type keyTree struct{ Keys, More map[string]string }

func referenceKeys(t *testing.T, command string) keyTree {
	t.Helper()
	data, err := os.ReadFile("testdata/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]keyTree
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all[command]
}

func (k keyTree) of(path string) (string, bool) {
	if kind, ok := k.Keys[path]; ok {
		return kind, true
	}
	kind, ok := k.More[path]
	return kind, ok
}

// walkType notes the JSON keys of a type.
func walkType(t reflect.Type, path string, keys map[string]string) {
	switch t {
	case reflect.TypeFor[time.Time]():
		keys[path] = "string"
		return
	case reflect.TypeFor[Timestamp]():
		keys[path] = "integer"
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		walkType(t.Elem(), path, keys)
	case reflect.String:
		keys[path] = "string"
	case reflect.Bool:
		keys[path] = "boolean"
	case reflect.Slice, reflect.Array:
		keys[path] = "array"
		walkType(t.Elem(), path+"[]", keys)
	case reflect.Map:
		keys[path] = "object"
		walkType(t.Elem(), path+"{}", keys)
	case reflect.Struct:
		keys[path] = "object"
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "-" || !f.IsExported() {
				continue
			}
			if name == "" && f.Anonymous {
				walkType(f.Type, path, keys)
				continue
			}
			if name == "" {
				name = f.Name
			}
			if path != "" {
				name = path + "." + name
			}
			walkType(f.Type, name, keys)
		}
	case reflect.Interface:
		keys[path] = "any"
	default:
		keys[path] = "integer"
	}
}

func TestKeysAreTheFields(t *testing.T) {
	tests := []struct {
		command string
		typ     reflect.Type
	}{
		{"container inspect", reflect.TypeFor[InspectContainer]()},
		{"ps", reflect.TypeFor[ListContainer]()},
		{"volume inspect", reflect.TypeFor[InspectVolume]()},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			want, got := referenceKeys(t, tt.command), map[string]string{}
			if len(want.Keys) == 0 {
				t.Fatal("no reference")
			}
			walkType(tt.typ, "", got)
			delete(got, "")
			for path, kind := range got {
				ref, ok := want.of(path)
				// The first is the record's, and publishedPorts leaves it out; the others
				// are pod's own additions.
				if path == "Ports[].random" || strings.HasSuffix(path, ".SourceKept") || strings.HasPrefix(path, "NetworkSettings.Impaired") {
					continue
				}
				if !ok {
					t.Errorf("key %s is not the field's", path)
				} else if !slices.Contains(strings.Split(ref, "|"), kind) {
					t.Errorf("key %s is %s, want %s", path, kind, ref)
				}
			}
			for path := range want.Keys {
				if _, ok := got[path]; !ok {
					t.Errorf("key %s is missing", path)
				}
			}
		})
	}
}

// walkValue calls visit for the path of every null.
func walkNulls(v any, path string, visit func(string)) {
	switch v := v.(type) {
	case nil:
		visit(path)
	case map[string]any:
		for key, value := range v {
			next := key
			if path != "" {
				next = path + "." + key
			}
			walkNulls(value, next, visit)
		}
	case []any:
		for _, value := range v {
			walkNulls(value, path+"[]", visit)
		}
	}
}

func nulls(t *testing.T, v any) []string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := json.Unmarshal(data, &decoded); err != nil {
		t.Fatal(err)
	}
	var paths []string
	walkNulls(decoded, "", func(path string) { paths = append(paths, path) })
	return paths
}

// TestNullsAreTheFields: of a container that has nothing, a list is empty, and
// null only where the field has null.
func TestNullsAreTheFields(t *testing.T) {
	e := viewEngine(t)
	c := record(1, "bare", nil)
	in := &inspection{
		c: c, status: StatusCreated, spec: e.restingSpec(c), dependencies: []string{}, execs: []string{},
		driver: InspectDriver{Data: map[string]string{}}, volumes: e.volumeDir,
	}
	for command, v := range map[string]any{
		"container inspect": in.container(), "ps": e.listEntry(c, StatusCreated, epoch),
	} {
		ref := referenceKeys(t, command)
		for _, path := range nulls(t, v) {
			if kind, _ := ref.of(path); !strings.Contains(kind, "null") && path != "Size" {
				t.Errorf("%s: %s is null, want %s", command, path, kind)
			}
		}
	}
}

func TestInspection(t *testing.T) {
	e := viewEngine(t)
	adj := 100
	c := record(1, "web", func(c *state.Container) {
		runs(state.PhaseRunning)(c)
		c.Run.Cgroup = "/pod"
		c.ImageID, c.ImageName = "0123", "localhost/web:latest"
		c.AnonymousVolumes = []string{"anon"}
		c.Spec = specgen.Container{
			Process: specgen.Process{
				Entrypoint: []string{"/bin/sh", "-c"}, Command: []string{"sleep 1"}, Env: []string{"A=b"}, StopSignal: "10", OOMScoreAdj: &adj,
			},
			Security: specgen.Security{CapAdd: []string{"sys_ptrace"}, CapDrop: []string{"chown"}, NoNewPrivileges: true, Seccomp: "unconfined", Ulimits: []string{"core=-1"}},
			Resources: specgen.Resources{
				CPUs: 1.5, Memory: 1 << 20,
			},
			Network: specgen.Network{Ports: []specgen.PortMapping{{HostPort: 8080, ContainerPort: 80, Range: 2, Protocol: "tcp"}}, Expose: []string{"80", "90/udp"}},
			Storage: specgen.Storage{Mounts: []specgen.Mount{
				{Type: "bind", Source: "/srv", Destination: "/srv/", Options: []string{"ro", "rslave", "z"}},
				{Type: "volume", Source: "anon", Destination: "/data"},
				{Type: "tmpfs", Destination: "/tmp", Options: []string{"size=1m"}},
			}},
			Restart: "on-failure", RestartRetries: 3,
		}
	})
	spec := restingWith(t, c, []string{"CAP_CHOWN", "CAP_KILL"}, []string{"CAP_CHOWN", "CAP_KILL", "CAP_SYS_PTRACE"})
	in := &inspection{
		c: c, status: StatusRunning, spec: spec, dependencies: []string{}, execs: []string{}, ports: c.Spec.Network.Ports,
		volumes: func(name string) string { return "/volumes/" + name }, defaultCaps: []string{"CAP_CHOWN", "CAP_KILL"}, mode: "pasta",
		maps: idMaps{uid: keepID(1000, 65537), gid: keepID(1000, 65537)},
	}
	out := in.container()
	checks := []struct {
		what      string
		got, want any
	}{
		{"Path", out.Path, "/bin/sh"},
		{"Args", out.Args, []string{"-c", "sleep 1"}},
		{"Config.Cmd", out.Config.Cmd, []string{"sleep 1"}},
		{"State.Running", out.State.Running, true},
		{"State.Pid", out.State.Pid, os.Getpid()},
		{"State.CgroupPath", out.State.CgroupPath, "/pod"},
		{"StopSignal", out.Config.StopSignal, "SIGUSR1"},
		{"Env", slices.Contains(out.Config.Env, "A=b"), true},
		{"BoundingCaps", out.BoundingCaps, []string{"CAP_KILL", "CAP_SYS_PTRACE"}},
		{"EffectiveCaps", out.EffectiveCaps, []string{"CAP_KILL", "CAP_SYS_PTRACE"}},
		{"CapAdd", out.HostConfig.CapAdd, []string{"CAP_SYS_PTRACE"}},
		{"CapDrop", out.HostConfig.CapDrop, []string{"CAP_CHOWN"}},
		{"SecurityOpt", out.HostConfig.SecurityOpt, []string{"seccomp=unconfined", "no-new-privileges"}},
		{"NanoCPUs", out.HostConfig.NanoCPUs, int64(1_500_000_000)},
		{"CPUQuota", out.HostConfig.CPUQuota, int64(150_000)},
		{"MemorySwap", out.HostConfig.MemorySwap, int64(2 << 20)},
		{"OomScoreAdj", out.HostConfig.OomScoreAdj, 100},
		{"ShmSize", out.HostConfig.ShmSize, int64(64 << 20)},
		{"Ulimits", out.HostConfig.Ulimits, []InspectUlimit{{"RLIMIT_CORE", -1, -1}}},
		{"RestartPolicy", out.HostConfig.RestartPolicy, InspectRestart{"on-failure", 3}},
		{"Binds", out.HostConfig.Binds, []string{"/srv:/srv/:ro,rslave,nosuid,nodev,rbind", "anon:/data:rw,nosuid,nodev,rprivate,rbind"}},
		{"Tmpfs", out.HostConfig.Tmpfs, map[string]string{"/tmp": "rw,size=1m,nosuid,nodev,rprivate,tmpcopyup"}},
		{"Volumes", out.Config.Volumes, map[string]struct{}{"/data": {}}},
		{"Mounts", out.Mounts, []InspectMount{
			{Type: "bind", Source: "/srv", Destination: "/srv/", Mode: "z", Options: []string{"nosuid", "nodev", "rbind"}, Propagation: "rslave"},
			{Type: "volume", Name: "anon", Source: "/volumes/anon", Destination: "/data", Driver: "local", Options: []string{"nosuid", "nodev", "rbind"}, RW: true, Propagation: "rprivate"},
		}},
		{"Ports", out.NetworkSettings.Ports, map[string][]InspectPort{
			"80/tcp": {{HostIP: "0.0.0.0", HostPort: "8080"}}, "81/tcp": {{HostIP: "0.0.0.0", HostPort: "8081"}}, "90/udp": nil,
		}},
		{"PortBindings", len(out.HostConfig.PortBindings), 2},
		{"IDMappings", out.HostConfig.IDMappings, &InspectIDMaps{
			UIDMap: []string{"0:1:1000", "1000:0:1", "1001:1001:64536"}, GIDMap: []string{"0:1:1000", "1000:0:1", "1001:1001:64536"},
		}},
		{"Modes", []string{out.HostConfig.IpcMode, out.HostConfig.PidMode, out.HostConfig.UsernsMode, out.HostConfig.CgroupMode}, []string{"shareable", "private", "private", "host"}},
	}
	for _, check := range checks {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: %v, want %v", check.what, check.got, check.want)
		}
	}
	in.status, in.exit = StatusExited, &state.Exit{Code: 7, OOMKilled: true, FinishedAt: epoch, Stopped: true}
	if st := in.container().State; st.ExitCode != 7 || st.Running || !st.OOMKilled || st.Pid != 0 || !st.FinishedAt.Equal(epoch) || !st.StoppedByUser {
		t.Errorf("an ended run: %+v", st)
	}
	_ = e
}

// restingWith is the specification of c with known capabilities.
func restingWith(t *testing.T, c *state.Container, defaults, held []string) *rspec.Spec {
	t.Helper()
	spec := c.Spec
	spec.Resources, spec.Process.OOMScoreAdj = specgen.Resources{}, nil
	oci, err := spec.ToOCI(specgen.Facts{
		RootfsPath: "/", DefaultCapabilities: defaults, Bounding: held, Volumes: map[string]string{"anon": "/volumes/anon"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return oci
}

// TestRestingSpec: what only a start can satisfy keeps nobody from looking.
func TestRestingSpec(t *testing.T) {
	e := viewEngine(t)
	for name, change := range map[string]func(s *specgen.Container){
		"limits without controllers": func(s *specgen.Container) { s.Resources.Memory = 1 << 30 },
		"a namespace of another":     func(s *specgen.Container) { s.Spaces.PID = "container:gone" },
		"a device that is gone":      func(s *specgen.Container) { s.Security.Devices = []string{"/dev/gone"} },
		"a subpath of a volume": func(s *specgen.Container) {
			s.Storage.Mounts = []specgen.Mount{{Type: "volume", Source: "v", SubPath: "a/b", Destination: "/v"}}
		},
		"a capability nobody has": func(s *specgen.Container) { s.Security.CapAdd = []string{"nonsense"} },
		"a user by name":          func(s *specgen.Container) { s.Process.User = "www-data" },
	} {
		t.Run(name, func(t *testing.T) {
			c := record(1, "c", nil)
			change(&c.Spec)
			before := c.Spec.Resources
			spec := e.restingSpec(c)
			if spec.Process == nil || spec.Linux == nil {
				t.Fatal("incomplete")
			}
			if !reflect.DeepEqual(c.Spec.Resources, before) && name == "limits without controllers" {
				t.Fatal("the record was changed")
			}
		})
	}
	c := record(1, "c", func(c *state.Container) { c.Spec.Process.User = "www-data" })
	if caps := e.restingSpec(c).Process.Capabilities; len(caps.Effective) != 0 {
		t.Fatalf("a user who is not root has %v", caps.Effective)
	}
}

func TestInspectVolume(t *testing.T) {
	e := viewEngine(t, record(1, "user", func(c *state.Container) {
		runs(state.PhaseRunning)(c)
		c.Spec.Storage.Mounts = []specgen.Mount{{Type: "volume", Source: "data", Destination: "/data"}}
	}))
	if _, err := e.CreateVolume(t.Context(), VolumeOptions{Name: "data", Options: map[string]string{"type": "tmpfs", "o": "size=1m"}}); err != nil {
		t.Fatal(err)
	}
	v, err := e.InspectVolume(t.Context(), "data")
	if err != nil {
		t.Fatal(err)
	}
	if v.MountCount != 1 || v.Mountpoint != e.volumeDir("data") || v.Labels == nil || v.Options["SIZE"] != "1m" || v.Scope != "local" {
		t.Fatalf("%+v", v)
	}
}
