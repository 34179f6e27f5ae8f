package system

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.podman.io/common/pkg/config"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/rootless"
)

type hostInfo struct {
	Arch               string         `json:"arch"`
	CDISpecDirs        []string       `json:"cdiSpecDirs"`
	CgroupControllers  []string       `json:"cgroupControllers"`
	CgroupManager      string         `json:"cgroupManager"`
	CgroupVersion      string         `json:"cgroupVersion"`
	Conmon             program        `json:"conmon"`
	CPUUtilization     *utilization   `json:"cpuUtilization,omitempty"`
	CPUs               int            `json:"cpus"`
	DatabaseBackend    string         `json:"databaseBackend"`
	Distribution       distribution   `json:"distribution"`
	EventLogger        string         `json:"eventLogger"`
	Hostname           string         `json:"hostname"`
	IDMappings         idMappings     `json:"idMappings"`
	Kernel             string         `json:"kernel"`
	Linkmode           string         `json:"linkmode"`
	LogDriver          string         `json:"logDriver"`
	MemFree            int64          `json:"memFree"`
	MemTotal           int64          `json:"memTotal"`
	NetworkBackend     string         `json:"networkBackend"`
	NetworkBackendInfo networkBackend `json:"networkBackendInfo"`
	OCIRuntime         ociRuntime     `json:"ociRuntime"`
	OS                 string         `json:"os"`
	Pasta              helper         `json:"pasta"`
	Slirp4netns        helper         `json:"slirp4netns"`
	RemoteSocket       remoteSocket   `json:"remoteSocket"`
	RootlessNetworkCmd string         `json:"rootlessNetworkCmd"`
	Security           security       `json:"security"`
	ServiceIsRemote    bool           `json:"serviceIsRemote"`
	SwapFree           int64          `json:"swapFree"`
	SwapTotal          int64          `json:"swapTotal"`
	Uptime             string         `json:"uptime"`
	Variant            string         `json:"variant"`
	// Reduced is pod's own: what is less than it could be here, and the remedy.
	Reduced []string `json:"reduced,omitempty"`
}

type program struct {
	Package string `json:"package"`
	Path    string `json:"path"`
	Version string `json:"version"`
}

type ociRuntime struct {
	Name    string `json:"name"`
	Package string `json:"package"`
	Path    string `json:"path"`
	Version string `json:"version"`
}

type helper struct {
	Executable string `json:"executable"`
	Package    string `json:"package"`
	Version    string `json:"version"`
}

type networkBackend struct {
	Backend        string  `json:"backend"`
	DefaultNetwork string  `json:"defaultNetwork"`
	DNS            program `json:"dns"`
	Package        string  `json:"package"`
	Path           string  `json:"path"`
	Version        string  `json:"version"`
}

type utilization struct {
	UserPercent   float64 `json:"userPercent"`
	SystemPercent float64 `json:"systemPercent"`
	IdlePercent   float64 `json:"idlePercent"`
}

type distribution struct {
	Distribution string `json:"distribution"`
	Codename     string `json:"codename,omitempty"`
	Variant      string `json:"variant,omitempty"`
	Version      string `json:"version"`
}

type idMappings struct {
	GIDMap []mapping `json:"gidmap"`
	UIDMap []mapping `json:"uidmap"`
}

type remoteSocket struct {
	Exists bool   `json:"exists"`
	Path   string `json:"path"`
}

type security struct {
	AppArmorEnabled    bool   `json:"apparmorEnabled"`
	Capabilities       string `json:"capabilities"`
	Rootless           bool   `json:"rootless"`
	SeccompEnabled     bool   `json:"seccompEnabled"`
	SeccompProfilePath string `json:"seccompProfilePath"`
	SELinuxEnabled     bool   `json:"selinuxEnabled"`
}

// describeHost reads what kernel and configuration say; it starts nothing.
func describeHost(conf *config.Config, session *rootless.Session, facts *libpod.Info) hostInfo {
	h := hostInfo{
		Arch: runtime.GOARCH, OS: runtime.GOOS, CPUs: runtime.NumCPU(), Linkmode: "dynamic", DatabaseBackend: "sqlite",
		CDISpecDirs: orEmpty(conf.Engine.CdiSpecDirs.Get()), CgroupControllers: orEmpty(facts.Controllers),
		CgroupManager: facts.CgroupManager, CgroupVersion: "v1", LogDriver: conf.Containers.LogDriver,
		NetworkBackend: "netavark", RootlessNetworkCmd: conf.Network.DefaultRootlessNetworkCmd,
		Distribution: readDistribution("/etc/os-release"), Reduced: session.Reduced,
		IDMappings:         idMappings{GIDMap: mappings(session.GIDMap), UIDMap: mappings(session.UIDMap)},
		NetworkBackendInfo: networkBackend{Backend: "netavark", DefaultNetwork: conf.Network.DefaultNetwork},
	}
	if !session.Rootless { // what the whole user namespace maps is no news
		h.IDMappings = idMappings{GIDMap: []mapping{}, UIDMap: []mapping{}}
	}
	if facts.CgroupV2 {
		h.CgroupVersion = "v2"
	}
	if facts.CgroupManager == "" {
		h.CgroupManager = "none"
	}
	if facts.Reduced != "" {
		h.Reduced = append(slices.Clone(h.Reduced), "cgroups: "+facts.Reduced)
	}
	h.Hostname, _ = os.Hostname()
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		h.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	h.memory()
	h.CPUUtilization = readUtilization("/proc/stat")
	h.Security = security{
		AppArmorEnabled: strings.HasPrefix(readWord("/sys/module/apparmor/parameters/enabled"), "Y"),
		Capabilities:    strings.Join(conf.Containers.DefaultCapabilities.Get(), ","), Rootless: session.Rootless,
		SeccompEnabled: seccompEnabled(), SeccompProfilePath: conf.Containers.SeccompProfile,
	}
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err == nil {
		h.Security.SELinuxEnabled = conf.Containers.EnableLabeling
	}
	return h
}

// seccompEnabled asks the kernel for filters by a call that changes nothing:
// EFAULT means that it knows them.
func seccompEnabled() bool {
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, 0, 0, 0)
	return err == unix.EFAULT //nolint:errorlint // a plain errno
}

func (h *hostInfo) memory() {
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) != nil {
		return
	}
	unit := int64(s.Unit)
	bytes := func(n uint64) int64 { return int64(n) * unit } //nolint:gosec // memory fits
	h.MemTotal, h.MemFree, h.SwapTotal, h.SwapFree = bytes(s.Totalram), bytes(s.Freeram), bytes(s.Totalswap), bytes(s.Freeswap)
	h.Uptime = uptime(time.Duration(s.Uptime) * time.Second)
}

// uptime is a duration with a rough reading of long ones.
func uptime(d time.Duration) string {
	hours := d.Truncate(time.Hour)
	text := fmt.Sprintf("%dh %dm %.2fs", int(hours.Hours()), int((d - hours).Minutes()), math.Mod(d.Seconds(), 60))
	if hours >= 24*time.Hour {
		text += fmt.Sprintf(" (Approximately %.2f days)", d.Hours()/24)
	}
	return text
}

// readUtilization reads how the processors spent their time since the boot
// (proc(5), stat: user nice system idle iowait …).
func readUtilization(path string) *utilization {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) < 5 || fields[0] != "cpu" {
		return nil
	}
	var ticks []float64
	total := 0.0
	for _, s := range fields[1:] {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil
		}
		ticks, total = append(ticks, n), total+n
	}
	if total == 0 {
		return nil
	}
	percent := func(n float64) float64 { return math.Round(n/total*10_000) / 100 }
	return &utilization{UserPercent: percent(ticks[0]), SystemPercent: percent(ticks[2]), IdlePercent: percent(ticks[3])}
}

// readDistribution reads os-release(5).
func readDistribution(path string) distribution {
	d := distribution{Distribution: "unknown", Version: "unknown"}
	data, err := os.ReadFile(path)
	if err != nil {
		return d
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			d.Distribution = value
		case "VERSION_ID":
			d.Version = value
		case "VERSION_CODENAME":
			d.Codename = value
		case "VARIANT_ID":
			d.Variant = value
		}
	}
	return d
}

func readWord(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
