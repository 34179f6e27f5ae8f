package specgen

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestParseShare(t *testing.T) {
	for in, want := range map[string][]string{
		"":              {},
		"none":          {},
		"net":           {"net"},
		"uts,net,net":   {"net", "uts"},
		"+pid":          {"ipc", "net", "pid", "uts"},
		"+pid,user":     {"ipc", "net", "pid", "user", "uts"},
		"cgroup, ipc":   {"cgroup", "ipc"},
		"ipc,+pid,+uts": {"ipc", "net", "pid", "uts"},
	} {
		got, err := ParseShare(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"foo", "mnt", "+none", "+", "net,none", "NET"} {
		if got, err := ParseShare(in); err == nil {
			t.Errorf("%q: %v, want an error", in, got)
		}
	}
}

func TestPodValidate(t *testing.T) {
	for name, c := range map[string]struct {
		pod  Pod
		want string // of the error
	}{
		"empty":              {Pod{}, ""},
		"name":               {Pod{Name: "a b"}, "invalid name"},
		"exit policy":        {Pod{ExitPolicy: "wait"}, "exit policy"},
		"share":              {Pod{Share: []string{"mnt"}}, "invalid kernel namespace"},
		"cgroup":             {Pod{Share: []string{"cgroup"}}, "--share-parent=false"},
		"cgroup without":     {Pod{Share: []string{"cgroup"}, NoShareParent: true}, ""},
		"no infra":           {Pod{NoInfra: true}, ""},
		"no infra, share":    {Pod{NoInfra: true, Share: []string{"net"}}, "cannot set share(net)"},
		"no infra, ports":    {Pod{NoInfra: true, Network: Network{Ports: []PortMapping{{ContainerPort: 1, Range: 1, Protocol: "tcp"}}}}, "must have an infra container"},
		"no infra, dns":      {Pod{NoInfra: true, Network: Network{DNS: []string{"1.1.1.1"}}}, "DNSServer"},
		"no infra, volumes":  {Pod{NoInfra: true, Storage: Storage{Mounts: []Mount{{Type: "volume", Destination: "/x"}}}}, "volumes"},
		"no infra, users":    {Pod{NoInfra: true, Spaces: Spaces{User: "keep-id"}}, "namespaces"},
		"share none, name":   {Pod{Share: []string{}, InfraName: "x"}, ""},
		"join a container":   {Pod{Network: Network{Mode: "container:x"}}, "do not support network mode container"},
		"hostname, uts host": {Pod{Network: Network{Hostname: "h"}, Spaces: Spaces{UTS: "host"}}, "host UTS namespace"},
		"hosts":              {Pod{Network: Network{NoHosts: true, AddHosts: []string{"a:1.2.3.4"}}}, "--add-host"},
		"sysctl":             {Pod{Security: Security{Sysctl: map[string]string{"kernel.panic": "1"}}}, "is not allowed"},
		"ports of the host":  {Pod{Network: Network{Mode: "host", Ports: []PortMapping{{ContainerPort: 1, Range: 1, Protocol: "tcp"}}}}, "--publish"},
		"swap alone":         {Pod{Resources: Resources{MemorySwap: 1 << 30}}, "--memory-swap needs --memory"},
		"pidfile":            {Pod{InfraConmonPIDFile: "x"}, "absolute"},
		"infra name":         {Pod{InfraName: "/"}, "--infra-name"},
	} {
		err := c.pod.Validate()
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if p := (Pod{Share: []string{}}); p.Validate() != nil || !p.NoInfra {
		t.Error("a pod that shares nothing has an infra container")
	}
}

const infraID = "1f0c"

func joinPod(t *testing.T, p *Pod, c *Container) error {
	t.Helper()
	infra := p.Infra("podid")
	return p.Join(c, infraID, infra)
}

func TestPodJoin(t *testing.T) {
	of := "container:" + infraID
	p := &Pod{
		Name: "shop", Restart: "always", Network: Network{AddHosts: []string{"a:1.2.3.4"}, DNS: []string{"9.9.9.9"}},
		Storage:  Storage{Mounts: []Mount{{Type: "volume", Source: "v", Destination: "/v"}, {Type: "volume", Source: "w", Destination: "/w"}}},
		Security: Security{Devices: []string{"/dev/null:/dev/x"}, NoNewPrivileges: true, Seccomp: "/p.json"},
		Spaces:   Spaces{User: "keep-id"},
	}
	c := &Container{Storage: Storage{Mounts: []Mount{{Type: "tmpfs", Destination: "/w"}}}}
	if err := joinPod(t, p, c); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Spaces, Spaces{IPC: of, UTS: of, User: of}) {
		t.Errorf("namespaces %+v", c.Spaces)
	}
	if n := c.Network; n.Mode != of || n.Hostname != "shop" || !reflect.DeepEqual(n.AddHosts, p.Network.AddHosts) || !reflect.DeepEqual(n.DNS, p.Network.DNS) {
		t.Errorf("network %+v", n)
	}
	if len(c.Storage.Mounts) != 2 || c.Storage.Mounts[0].Type != "tmpfs" || c.Storage.Mounts[1].Source != "v" {
		t.Errorf("mounts %+v", c.Storage.Mounts)
	}
	if c.Restart != "always" || !c.PodCgroup || !c.Security.NoNewPrivileges || c.Security.Seccomp != "/p.json" || len(c.Security.Devices) != 1 {
		t.Errorf("container %+v", c)
	}
	// And back again.
	c.Pod = "podid"
	p.Leave(c, infraID, p.Infra("podid"))
	if want := (Container{Storage: Storage{Mounts: []Mount{{Type: "tmpfs", Destination: "/w"}}}, Security: Security{Devices: []string{}}}); !same(t, c, &want) {
		t.Errorf("left %+v, want %+v", c, want)
	}
}

func same(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}

func TestPodJoinOwn(t *testing.T) {
	// What a container asks for of its own it keeps.
	c := &Container{
		Restart: "no", Spaces: Spaces{IPC: "private", UTS: "private", PID: "host"},
		Network: Network{Mode: "none", Hostname: "own", DNS: []string{"none"}, AddHosts: []string{"x:1.1.1.1"}},
	}
	want := *c
	want.PodCgroup = true
	if err := joinPod(t, &Pod{Restart: "always", Share: []string{"ipc", "net", "pid", "uts"}}, c); err != nil || !reflect.DeepEqual(*c, want) {
		t.Errorf("%+v, %v, want %+v", *c, err, want)
	}
	remove := &Container{Remove: true}
	if err := joinPod(t, &Pod{Restart: "always", NoShareParent: true}, remove); err != nil || remove.Restart != "" || remove.PodCgroup {
		t.Errorf("%+v, %v", remove, err)
	}
	split := &Container{Resources: Resources{Cgroups: "split"}}
	if err := joinPod(t, &Pod{Resources: Resources{CgroupParent: "x.slice"}}, split); err != nil || split.PodCgroup || split.Resources.CgroupParent != "" {
		t.Errorf("%+v, %v", split, err)
	}
	without := &Container{Network: Network{Ports: []PortMapping{{ContainerPort: 1, Range: 1}}}}
	if err := (&Pod{NoInfra: true}).Join(without, "", nil); err != nil || without.Network.Mode != "" {
		t.Errorf("%+v, %v", without, err)
	}
}

func TestPodJoinRefused(t *testing.T) {
	for name, c := range map[string]struct {
		container Container
		want      string
	}{
		"ports":    {Container{Network: Network{Ports: []PortMapping{{ContainerPort: 1}}}}, "published or exposed ports must be defined when the pod is created"},
		"all":      {Container{Network: Network{PublishAll: true}}, "published or exposed ports"},
		"hosts":    {Container{Network: Network{AddHosts: []string{"a:1.2.3.4"}}}, "extra host entries must be specified on the pod"},
		"dns":      {Container{Network: Network{DNSSearch: []string{"x"}}}, "must be specified on the pod"},
		"hostname": {Container{Network: Network{Hostname: "h"}}, "cannot set hostname when joining the pod UTS namespace"},
		"userns":   {Container{Spaces: Spaces{User: "host"}}, "--userns and --pod cannot be set together"},
		"maps":     {Container{Spaces: Spaces{UIDMap: []string{"0:0:1"}}}, "cannot specify a new uid/gid map"},
		"parent":   {Container{Resources: Resources{CgroupParent: "x.slice"}}, "--share-parent=false"},
	} {
		if err := joinPod(t, &Pod{}, &c.container); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestPodInfra(t *testing.T) {
	c := (&Pod{Name: strings.Repeat("n", 80)}).Infra(strings.Repeat("a", 64))
	if c.Name != "aaaaaaaaaaaa-infra" || len(c.Network.Hostname) != 64 || !c.Pause() || c.Layered() || !c.Security.ReadOnly {
		t.Errorf("infra container %+v", c)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	of := (&Pod{InfraImage: "i", InfraCommand: []string{"sleep", "1"}}).Infra("x")
	if of.Pause() || !of.Layered() || len(of.Security.CapDrop) > 0 || of.Process.Entrypoint == nil || len(of.Process.Command) != 2 {
		t.Errorf("infra container of an image %+v", of)
	}
}

func TestPodGenerate(t *testing.T) {
	p := Pod{
		Name: "p", Resources: Resources{Memory: 64 << 20, CgroupParent: "x.slice"}, Network: Network{DNS: []string{"none"}},
		Spaces: Spaces{PID: "ns:/p"}, Storage: Storage{Mounts: []Mount{{Type: "volume", Source: "v", Destination: "/v"}}},
	}
	g := p.Generate()
	if g.ExitPolicy != "continue" || !g.NoResolvConf || g.DNSServer != nil || g.PID.Mode != "path" || g.IPC.Mode != "default" ||
		len(g.Volumes) != 1 || g.CgroupParent != "x.slice" || g.ResourceLimit == nil || *g.ResourceLimit.Memory.Limit != 64<<20 {
		t.Errorf("%+v", g)
	}
}
