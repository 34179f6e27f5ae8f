package specgen

import (
	"math"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	bad, minusTwo := 2000, int64(-2)
	mount := func(m ...Mount) Container { return Container{Storage: Storage{Mounts: m}} }
	ports := func(p ...PortMapping) Container { return Container{Network: Network{Ports: p}} }
	cases := map[string]struct {
		c    Container
		want string // empty: valid
	}{
		"empty":                 {Container{}, ""},
		"name":                  {Container{Name: "web-1.a_b"}, ""},
		"bad name":              {Container{Name: "-web"}, "invalid name"},
		"name of line":          {Container{Name: "web\n"}, "invalid name"},
		"rm and restart":        {Container{Remove: true, Restart: "always"}, "--rm and --restart"},
		"rm and no restart":     {Container{Remove: true, Restart: "no"}, ""},
		"restart":               {Container{Restart: "sometimes"}, "restart policy"},
		"retries":               {Container{Restart: "always", RestartRetries: 2}, "number of retries"},
		"image and rootfs":      {Container{Image: "a", Rootfs: "/b"}, "--rootfs"},
		"workdir":               {Container{Process: Process{WorkDir: "srv"}}, "--workdir"},
		"env":                   {Container{Process: Process{Env: []string{"A"}}}, "environment variable"},
		"nul in command":        {Container{Process: Process{Command: []string{"a\x00"}}}, "NUL"},
		"umask":                 {Container{Process: Process{Umask: "888"}}, "umask"},
		"signal":                {Container{Process: Process{StopSignal: "99"}}, "--stop-signal"},
		"signal name":           {Container{Process: Process{StopSignal: "rtmin+3"}}, ""},
		"user":                  {Container{Process: Process{User: "a\nb"}}, "invalid user"},
		"keep-groups and other": {Container{Process: Process{Groups: []string{"keep-groups", "a"}}}, "keep-groups"},
		"timezone":              {Container{Process: Process{Timezone: "../../etc/shadow"}}, "timezone"},
		"oom":                   {Container{Process: Process{OOMScoreAdj: &bad}}, "--oom-score-adj"},
		"capability":            {Container{Security: Security{CapAdd: []string{"FLY"}}}, `unknown capability "FLY"`},
		"capability both":       {Container{Security: Security{CapAdd: []string{"chown"}, CapDrop: []string{"CAP_CHOWN"}}}, "dropped and added"},
		"sysctl":                {Container{Security: Security{Sysctl: map[string]string{"kernel.core_pattern": "|/x"}}}, "not allowed"},
		"sysctl path":           {Container{Security: Security{Sysctl: map[string]string{"net./../kernel/core_pattern": "x"}}}, "not allowed"},
		"ulimit":                {Container{Security: Security{Ulimits: []string{"nofile=2:1"}}}, "soft limit"},
		"device":                {Container{Security: Security{Devices: []string{"fuse"}}}, "absolute"},
		"device rule":           {Container{Security: Security{DeviceCgroupRules: []string{"x 1:1 r"}}}, "device cgroup rule"},
		"mask":                  {Container{Security: Security{Mask: []string{"etc"}}}, "absolute paths"},
		"proc option":           {Container{Security: Security{ProcOpts: []string{"suid"}}}, "proc-opts"},
		"memory":                {Container{Resources: Resources{Memory: 1 << 20}}, "at least 6m"},
		"swap alone":            {Container{Resources: Resources{MemorySwap: 1 << 30}}, "needs --memory"},
		"swap below":            {Container{Resources: Resources{Memory: 1 << 30, MemorySwap: 1 << 29}}, "below --memory"},
		"reservation":           {Container{Resources: Resources{Memory: 1 << 30, MemoryReservation: 1 << 31}}, "above --memory"},
		"cpus":                  {Container{Resources: Resources{CPUs: 0.001}}, "--cpus"},
		"cpus nan":              {Container{Resources: Resources{CPUs: math.NaN()}}, "--cpus"},
		"cpus and quota":        {Container{Resources: Resources{CPUs: 1, CPUQuota: 5000}}, "excludes"},
		"cpuset":                {Container{Resources: Resources{CPUSetCPUs: "0;1"}}, "--cpuset-cpus"},
		"pids":                  {Container{Resources: Resources{PidsLimit: &minusTwo}}, "--pids-limit"},
		"cgroups":               {Container{Resources: Resources{Cgroups: "some"}}, "--cgroups"},
		"limit without cgroup":  {Container{Resources: Resources{Cgroups: "disabled", Memory: 8 << 20}}, "--cgroups=disabled"},
		"cgroup parent":         {Container{Resources: Resources{CgroupParent: "/a/../../b"}}, "--cgroup-parent"},
		"pid space":             {Container{Spaces: Spaces{PID: "shareable"}}, "invalid --pid"},
		"ipc space":             {Container{Spaces: Spaces{IPC: "shareable"}}, ""},
		"container space":       {Container{Spaces: Spaces{UTS: "container:"}}, "invalid --uts"},
		"ns space":              {Container{Spaces: Spaces{Cgroup: "ns:rel"}}, "invalid --cgroupns"},
		"userns":                {Container{Spaces: Spaces{User: "private"}}, "at least one UID or GID mapping"},
		"bridge":                {Container{Network: Network{Mode: "mynet"}}, "invalid --network mode"},
		"networks of another":   {Container{Network: Network{Mode: "host", Networks: []Attachment{{Name: "a"}}}}, "selected mode host"},
		"a network twice":       {Container{Network: Network{Mode: "bridge", Networks: []Attachment{{Name: "a"}, {Name: "a"}}}}, "network a is given twice"},
		"an interface twice":    {Container{Network: Network{Mode: "bridge", Networks: []Attachment{{Name: "a", Interface: "x"}, {Name: "b", Interface: "x"}}}}, "interface name x is given twice"},
		"interface lo":          {Container{Network: Network{Mode: "bridge", Networks: []Attachment{{Interface: "lo"}}}}, "invalid interface name"},
		"a mac of a group":      {Container{Network: Network{Mode: "bridge", Networks: []Attachment{{MAC: "01:00:5e:00:00:01"}}}}, "is of a group"},
		"alias with a blank":    {Container{Network: Network{Mode: "bridge", Networks: []Attachment{{Aliases: []string{"a b"}}}}}, "invalid network alias"},
		"pasta":                 {Container{Network: Network{Mode: "pasta:-T,80"}}, ""},
		"hostname":              {Container{Network: Network{Hostname: strings.Repeat("a", 65)}}, "longer than 64"},
		"hostname line":         {Container{Network: Network{Hostname: "a\nb"}}, "invalid hostname"},
		"hostname of host":      {Container{Network: Network{Hostname: "a"}, Spaces: Spaces{UTS: "host"}}, "--uts=host"},
		"add host":              {Container{Network: Network{AddHosts: []string{"a;b:10.0.0.1", "c:host-gateway", "d:::1"}}}, ""},
		"add host line":         {Container{Network: Network{AddHosts: []string{"a\n:10.0.0.1"}}}, "--add-host"},
		"add host ip":           {Container{Network: Network{AddHosts: []string{"a:10.0.0"}}}, "--add-host"},
		"dns":                   {Container{Network: Network{DNS: []string{"one"}}}, "DNS server"},
		"dns search line":       {Container{Network: Network{DNSSearch: []string{"a\nnameserver 6.6.6.6"}}}, "DNS search"},
		"publish none":          {Container{Network: Network{Mode: "none", PublishAll: true}}, "--publish"},
		"ports twice":           {ports(PortMapping{HostPort: 80, ContainerPort: 80, Range: 3, Protocol: "tcp"}, PortMapping{HostPort: 82, ContainerPort: 1, Range: 1, Protocol: "tcp"}), "conflicting port mappings for host port 82 (protocol tcp)"},
		"ports apart":           {ports(PortMapping{HostPort: 80, ContainerPort: 80, Range: 3, Protocol: "tcp"}, PortMapping{HostPort: 82, ContainerPort: 1, Range: 1, Protocol: "udp"}), ""},
		"port too high":         {ports(PortMapping{HostPort: 65535, ContainerPort: 80, Range: 2, Protocol: "tcp"}), "from 1 to 65535"},
		"relative bind":         {mount(Mount{Type: "bind", Source: "a", Destination: "/a"}), "absolute path"},
		"relative destination":  {mount(Mount{Type: "tmpfs", Destination: "a"}), "absolute path"},
		"duplicate":             {mount(Mount{Type: "tmpfs", Destination: "/a"}, Mount{Type: "bind", Source: "/x", Destination: "/a/"}), "/a: duplicate mount destination"},
		"mount type":            {mount(Mount{Type: "overlay", Destination: "/a"}), "unknown type"},
		"smuggled option":       {mount(Mount{Type: "tmpfs", Destination: "/a", Options: []string{"size=1m,exec"}}), "invalid option"},
		"image volume":          {Container{Storage: Storage{ImageVolume: "x"}}, "--image-volume"},
		"volumes from":          {Container{Storage: Storage{VolumesFrom: []string{"a:exec"}}}, "--volumes-from"},
		"log driver":            {Container{Log: Log{Driver: "syslog"}}, "log driver"},
		"log restarted":         {Container{Log: Log{Driver: "passthrough"}, Restart: "always"}, "no streams to give"},
		"log terminal":          {Container{Log: Log{Driver: "passthrough-tty"}, Process: Process{Terminal: true}}, "--tty"},
		"log without a file":    {Container{Log: Log{Driver: "journald", MaxSize: 1}}, "need a log file"},
		"log files of no size":  {Container{Log: Log{MaxFiles: 3}}, "needs max-size or max-age"},
		"log path with a colon": {Container{Log: Log{Path: "/a:b"}}, "colon"},
		"log tag of a file":     {Container{Log: Log{Driver: "k8s-file", Tag: "x"}}, "journald driver only"},
		"label":                 {Container{Labels: map[string]string{"": "x"}}, "invalid label"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := tc.c.Validate()
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %q", err, tc.want)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}
