package libpod

import (
	"time"

	"github.com/rootless-pod/pod/pkg/health"
)

// InspectContainer is all about a container, under the field's keys. It is
// computed, never stored.
type InspectContainer struct {
	ID                      string    `json:"Id"`
	Created                 time.Time `json:"Created"`
	Path                    string
	Args                    []string
	State                   InspectState
	Image                   string
	ImageDigest             string
	ImageName               string
	Rootfs                  string
	Pod                     string
	ResolvConfPath          string
	HostnamePath            string
	HostsPath               string
	StaticDir               string
	OCIConfigPath           string `json:"OCIConfigPath,omitempty"`
	OCIRuntime              string `json:"OCIRuntime,omitempty"`
	ConmonPidFile           string
	PidFile                 string
	Name                    string
	RestartCount            int
	Driver                  string
	MountLabel              string
	ProcessLabel            string
	AppArmorProfile         string
	EffectiveCaps           []string
	BoundingCaps            []string
	ExecIDs                 []string
	GraphDriver             InspectDriver
	SizeRw                  *int64 `json:"SizeRw,omitempty"`
	SizeRootFs              *int64 `json:"SizeRootFs,omitempty"`
	Mounts                  []InspectMount
	Dependencies            []string
	NetworkSettings         InspectNetwork
	Namespace               string
	IsInfra                 bool
	IsService               bool
	KubeExitCodePropagation string
	LockNumber              int `json:"lockNumber"`
	Config                  InspectConfig
	HostConfig              InspectHost
	UseImageHosts           bool
	UseImageHostname        bool
}

// InspectState is what a container does now, or how it ended.
type InspectState struct {
	OciVersion string
	Status     Status
	Running    bool
	Paused     bool
	Restarting bool
	OOMKilled  bool
	Dead       bool
	Pid        int
	ConmonPid  int `json:"ConmonPid,omitempty"`
	ExitCode   int
	Error      string
	StartedAt  time.Time
	FinishedAt time.Time
	Health     *health.Results `json:"Health,omitempty"`
	CgroupPath string          `json:"CgroupPath,omitempty"`
	// A checkpoint is seen by its files: Checkpointed until the container starts
	// or the files are gone.
	Checkpointed   bool `json:"Checkpointed,omitempty"`
	CheckpointedAt time.Time
	CheckpointPath string `json:"CheckpointPath,omitempty"`
	CheckpointLog  string `json:"CheckpointLog,omitempty"`
	Restored       bool   `json:"Restored,omitempty"`
	RestoredAt     time.Time
	RestoreLog     string `json:"RestoreLog,omitempty"`
	StoppedByUser  bool   `json:"StoppedByUser,omitempty"`
}

// InspectDriver is the storage driver and where it has the container's layers.
type InspectDriver struct {
	Name string
	Data map[string]string
}

// InspectMount is a bind or a volume.
type InspectMount struct {
	Type        string
	Name        string `json:"Name,omitempty"`
	Source      string
	Destination string
	Driver      string
	Mode        string
	Options     []string
	RW          bool
	Propagation string
	SubPath     string `json:"SubPath,omitempty"`
}

// InspectPort is a host port.
type InspectPort struct {
	HostIP   string `json:"HostIp"`
	HostPort string
	// SourceKept says, of a container that runs, whether it sees the addresses of
	// those who use the port. The field's programs have no such key.
	SourceKept *bool `json:",omitempty"`
}

// InspectNetwork is the network of the present run. The addresses of pasta and
// slirp4netns are not listed, as in the field: nothing reaches a container by
// them.
type InspectNetwork struct {
	EndpointID             string
	Gateway                string
	IPAddress              string
	IPPrefixLen            int
	IPv6Gateway            string
	GlobalIPv6Address      string
	GlobalIPv6PrefixLen    int
	MacAddress             string
	Bridge                 string
	SandboxID              string
	HairpinMode            bool
	LinkLocalIPv6Address   string
	LinkLocalIPv6PrefixLen int
	// Secondary addresses are those after the first of a family.
	SecondaryIPAddresses   []InspectAddress `json:"SecondaryIPAddresses,omitempty"`
	SecondaryIPv6Addresses []InspectAddress `json:"SecondaryIPv6Addresses,omitempty"`
	AdditionalMACAddresses []string         `json:"AdditionalMACAddresses,omitempty"`
	Ports                  map[string][]InspectPort
	SandboxKey             string
	Networks               map[string]*InspectEndpoint `json:"Networks,omitempty"`
	// Impaired is pod's own: what makes the network worse than it comes.
	Impaired *InspectShape `json:"Impaired,omitempty"`
}

// InspectShape are limits of a network: bits a second, time, percent.
type InspectShape struct {
	RateIn  uint64        `json:"RateIn,omitempty"`
	RateOut uint64        `json:"RateOut,omitempty"`
	Delay   time.Duration `json:"Delay,omitempty"`
	Loss    float64       `json:"Loss,omitempty"`
}

// InspectAddress is an address beside the first.
type InspectAddress struct {
	Addr         string
	PrefixLength int
}

// InspectEndpoint is the container's end of a network. host and none count as
// networks without addresses.
type InspectEndpoint struct {
	EndpointID             string
	Gateway                string
	IPAddress              string
	IPPrefixLen            int
	IPv6Gateway            string
	GlobalIPv6Address      string
	GlobalIPv6PrefixLen    int
	MacAddress             string
	SecondaryIPAddresses   []InspectAddress `json:"SecondaryIPAddresses,omitempty"`
	SecondaryIPv6Addresses []InspectAddress `json:"SecondaryIPv6Addresses,omitempty"`
	AdditionalMACAddresses []string         `json:"AdditionalMACAddresses,omitempty"`
	NetworkID              string
	DriverOpts             map[string]string
	IPAMConfig             map[string]string
	Links                  []string
	Aliases                []string `json:"Aliases,omitempty"`
}

// InspectConfig is what runs in the container.
type InspectConfig struct {
	Hostname      string
	Domainname    string
	User          string
	AttachStdin   bool
	AttachStdout  bool
	AttachStderr  bool
	Tty           bool
	OpenStdin     bool
	StdinOnce     bool
	Env           []string
	Cmd           []string
	Image         string
	Volumes       map[string]struct{}
	WorkingDir    string
	Entrypoint    []string
	OnBuild       string
	Labels        map[string]string
	Annotations   map[string]string
	StopSignal    string
	CreateCommand []string        `json:"CreateCommand,omitempty"`
	Timezone      string          `json:"Timezone,omitempty"`
	Umask         string          `json:"Umask,omitempty"`
	Timeout       uint            `json:"Timeout"`
	StopTimeout   uint            `json:"StopTimeout"`
	SystemdMode   bool            `json:"SystemdMode,omitempty"`
	Secrets       []InspectSecret `json:"Secrets,omitempty"`
	Passwd        *bool           `json:"Passwd,omitempty"`
	SdNotifyMode  string          `json:"sdNotifyMode,omitempty"`
	// SdNotifySocket is systemd's socket, as it was when the run began.
	SdNotifySocket string              `json:"sdNotifySocket,omitempty"`
	ChrootDirs     []string            `json:"ChrootDirs,omitempty"`
	ExposedPorts   map[string]struct{} `json:"ExposedPorts,omitempty"`
	InspectChecks
}

// InspectSecret is a secret of the container, but for its content.
type InspectSecret struct {
	Name     string
	ID       string
	UID, GID uint32
	Mode     uint32
}

// InspectHost is what the container is given of the host.
type InspectHost struct {
	Binds                []string
	CgroupManager        string `json:"CgroupManager,omitempty"`
	CgroupMode           string `json:"CgroupMode,omitempty"`
	ContainerIDFile      string
	LogConfig            InspectLog
	NetworkMode          string
	PortBindings         map[string][]InspectPort
	RestartPolicy        InspectRestart
	AutoRemove           bool
	AutoRemoveImage      bool
	Annotations          map[string]string
	VolumeDriver         string
	VolumesFrom          []string `json:"VolumesFrom,omitempty"`
	CapAdd               []string
	CapDrop              []string
	DNS                  []string `json:"Dns"`
	DNSOptions           []string `json:"DnsOptions"`
	DNSSearch            []string `json:"DnsSearch"`
	ExtraHosts           []string
	HostsFile            string
	GroupAdd             []string
	IpcMode              string
	Cgroup               string
	Cgroups              string
	Links                []string
	OomScoreAdj          int
	PidMode              string
	Privileged           bool
	PublishAllPorts      bool
	ReadonlyRootfs       bool
	SecurityOpt          []string
	Tmpfs                map[string]string
	UTSMode              string
	UsernsMode           string
	IDMappings           *InspectIDMaps `json:"IDMappings,omitempty"`
	ShmSize              int64
	Runtime              string
	ConsoleSize          [2]uint
	Isolation            string
	CPUShares            uint64 `json:"CpuShares"`
	Memory               int64
	NanoCPUs             int64 `json:"NanoCpus"`
	CgroupParent         string
	BlkioWeight          uint16
	BlkioWeightDevice    []InspectWeight
	BlkioDeviceReadBps   []InspectRate
	BlkioDeviceWriteBps  []InspectRate
	BlkioDeviceReadIOps  []InspectRate
	BlkioDeviceWriteIOps []InspectRate
	CPUPeriod            uint64 `json:"CpuPeriod"`
	CPUQuota             int64  `json:"CpuQuota"`
	CPURealtimePeriod    uint64 `json:"CpuRealtimePeriod"`
	CPURealtimeRuntime   int64  `json:"CpuRealtimeRuntime"`
	CPUSetCPUs           string `json:"CpusetCpus"`
	CPUSetMems           string `json:"CpusetMems"`
	Devices              []InspectDevice
	DiskQuota            uint64
	KernelMemory         int64
	MemoryReservation    int64
	MemorySwap           int64
	MemorySwappiness     int64
	OomKillDisable       bool
	Init                 bool `json:"Init,omitempty"`
	PidsLimit            int64
	Ulimits              []InspectUlimit
	CPUCount             uint64 `json:"CpuCount"`
	CPUPercent           uint64 `json:"CpuPercent"`
	IOMaximumIOps        uint64
	IOMaximumBandwidth   uint64
	CgroupConf           map[string]string `json:"CgroupConf"`
}

// InspectLog is where output goes.
type InspectLog struct {
	Type   string
	Config map[string]string
	Path   string
	Tag    string
	Size   string
}

// InspectRestart is the restart policy.
type InspectRestart struct {
	Name              string
	MaximumRetryCount uint
}

// InspectIDMaps are the id maps, INSIDE:OUTSIDE:SIZE each.
type InspectIDMaps struct {
	UIDMap []string `json:"UidMap"`
	GIDMap []string `json:"GidMap"`
}

// InspectDevice is a device of the host.
type InspectDevice struct {
	PathOnHost        string
	PathInContainer   string
	CgroupPermissions string
}

// InspectUlimit is a resource limit.
type InspectUlimit struct {
	Name string
	Soft int64
	Hard int64
}

// InspectWeight and InspectRate limit block devices.
type InspectWeight struct {
	Path   string
	Weight uint16
}

// InspectRate is a bound in bytes or operations a second.
type InspectRate struct {
	Path string
	Rate uint64
}

// InspectVolume is all about a volume.
type InspectVolume struct {
	Name       string
	Driver     string
	Mountpoint string
	CreatedAt  time.Time
	Labels     map[string]string
	Scope      string
	// Status is what a plugin says of its volume.
	Status      map[string]any `json:"Status,omitempty"`
	Options     map[string]string
	UID         int  `json:"UID,omitempty"`
	GID         int  `json:"GID,omitempty"`
	Anonymous   bool `json:"Anonymous,omitempty"`
	MountCount  uint
	NeedsCopyUp bool   `json:"NeedsCopyUp,omitempty"`
	NeedsChown  bool   `json:"NeedsChown,omitempty"`
	Timeout     uint   `json:"Timeout,omitempty"`
	StorageID   string `json:"StorageID,omitempty"`
	LockNumber  uint32
}
