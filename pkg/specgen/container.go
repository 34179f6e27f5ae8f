// Package specgen owns the one description of a container: what the user asked
// for, its validation, the defaults an image adds, and its conversion to the
// OCI runtime specification. Everything here is a pure function of its
// arguments; nothing reads the host. Command line, REST, Kubernetes YAML and
// Quadlet are doors to it; the database embeds it; inspect is a view of it.
package specgen

import (
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// Container is what a user asked for. A zero field is unset; a pointer is used
// only where zero has a meaning of its own.
type Container struct {
	// Name is the container's name; empty lets libpod choose one.
	Name string `json:"name,omitempty"`
	// Image is the reference as the user typed it.
	Image string `json:"image,omitempty"`
	// Rootfs is a directory to use instead of an image (run --rootfs).
	Rootfs string `json:"rootfs,omitempty"`
	// RootfsOption is O, which leaves that directory as it is, idmap, which shows
	// its owners in the container's user namespace, or idmap=uids=…;gids=….
	RootfsOption string `json:"rootfs_option,omitempty"`
	// Replace removes a container of the same name first.
	Replace bool `json:"-"`
	// Remove deletes the container when it has exited (--rm).
	Remove bool `json:"remove,omitempty"`
	// Restart is the policy: "", no, always, unless-stopped, on-failure.
	Restart string `json:"restart,omitempty"`
	// RestartRetries bounds on-failure; 0 is no bound.
	RestartRetries uint `json:"restart_retries,omitempty"`
	// Labels and Annotations are those of the user, over those of the image.
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// CreateCommand is the command line that made the container, for inspect.
	CreateCommand []string `json:"create_command,omitempty"`
	// CIDFile and PIDFile are host paths that receive the id and the pid.
	CIDFile string `json:"cidfile,omitempty"`
	PIDFile string `json:"pidfile,omitempty"`
	// ConmonPIDFile receives conmon's pid.
	ConmonPIDFile string `json:"conmon_pidfile,omitempty"`
	// Runtime is the OCI runtime, by name or path; empty is the configured one.
	Runtime string `json:"runtime,omitempty"`
	// Debugs is the id of the running container whose root file system is to be
	// at hand below /target (pod debug).
	Debugs string `json:"debugs,omitempty"`

	// Pod is the pod the container is in: a name or an id, and the id once it is made.
	Pod string `json:"pod,omitempty"`
	// IsInfra: it holds the namespaces of the pod.
	IsInfra bool `json:"is_infra,omitempty"`
	// PodCgroup: its cgroup is below that of the pod.
	PodCgroup bool `json:"pod_cgroup,omitempty"`
	// InitCtr is always or once: it runs to its end before others of the pod start.
	InitCtr string `json:"init_ctr,omitempty"`

	// Requires names containers that are started before this one, and cannot be
	// removed before it.
	Requires []string `json:"requires,omitempty"`
	// RemoveImage removes the image with the container (--rmi).
	RemoveImage bool `json:"remove_image,omitempty"`
	// SDNotify is container (""), conmon, healthy or ignore: who tells systemd that
	// the container is ready.
	SDNotify string   `json:"sdnotify,omitempty"`
	Secrets  []Secret `json:"secrets,omitempty"`
	Accounts Accounts `json:"accounts,omitzero"`

	Process   Process   `json:"process"`
	Security  Security  `json:"security"`
	Resources Resources `json:"resources"`
	Spaces    Spaces    `json:"spaces"`
	Network   Network   `json:"network"`
	Storage   Storage   `json:"storage"`
	Log       Log       `json:"log"`
	Health    Health    `json:"health,omitzero"`
}

// Process is what runs in the container.
type Process struct {
	// Entrypoint nil means the image's; empty but not nil means none.
	Entrypoint []string `json:"entrypoint"`
	// Command nil means the image's (only while Entrypoint is nil too).
	Command []string `json:"command"`
	// Env holds NAME=VALUE pairs, later ones winning. They are complete: the
	// command line has resolved `-e NAME` against the host already.
	Env []string `json:"env,omitempty"`
	// EnvDefaults are NAME=VALUE pairs below those of the image: the host's
	// proxy settings (--http-proxy) or its whole environment (--env-host).
	EnvDefaults []string `json:"env_defaults,omitempty"`
	// EnvMerge are NAME=VALUE pairs in which $NAME means a variable of the image.
	EnvMerge []string `json:"env_merge,omitempty"`
	// UnsetEnv names variables of the image and the defaults to drop;
	// UnsetEnvAll drops all of them.
	UnsetEnv    []string `json:"unset_env,omitempty"`
	UnsetEnvAll bool     `json:"unset_env_all,omitempty"`
	// WorkDir is the working directory; empty means the image's, or "/".
	WorkDir string `json:"workdir,omitempty"`
	// User is UID|NAME[:GID|GROUP], resolved in the container's own /etc.
	User string `json:"user,omitempty"`
	// Groups are supplementary groups; "keep-groups" keeps the host user's.
	Groups   []string `json:"groups,omitempty"`
	Terminal bool     `json:"terminal,omitempty"`
	// Stdin keeps standard input open.
	Stdin bool `json:"stdin,omitempty"`
	// Umask is octal, "0022" when empty.
	Umask string `json:"umask,omitempty"`
	// Init runs a minimal init (catatonit) as pid 1; InitPath is its host path.
	Init     bool   `json:"init,omitempty"`
	InitPath string `json:"init_path,omitempty"`
	// StopSignal is a name or number; empty means the image's, or SIGTERM.
	StopSignal string `json:"stop_signal,omitempty"`
	// StopTimeout in seconds before SIGKILL; nil means 10.
	StopTimeout *uint `json:"stop_timeout,omitempty"`
	// Timeout kills the container after so many seconds; 0 never.
	Timeout uint `json:"timeout,omitempty"`
	// Timezone is a zone name, or "local"; empty leaves the image's.
	Timezone    string `json:"timezone,omitempty"`
	OOMScoreAdj *int   `json:"oom_score_adj,omitempty"`
	// Systemd is true (""), false or always: whether a command that is systemd, or
	// any, gets the mounts and the stop signal systemd needs.
	Systemd string `json:"systemd,omitempty"`
	// PreserveFDs are file descriptors of the caller that the process gets too, by
	// their numbers. They are this run's, not the container's.
	PreserveFDs []uint `json:"-"`
	// Personality is LINUX or LINUX32.
	Personality string `json:"personality,omitempty"`
}

// Security is what the process may do.
type Security struct {
	Privileged bool     `json:"privileged,omitempty"`
	CapAdd     []string `json:"cap_add,omitempty"`
	CapDrop    []string `json:"cap_drop,omitempty"`
	// NoNewPrivileges sets the kernel's no_new_privs.
	NoNewPrivileges bool `json:"no_new_privileges,omitempty"`
	// Seccomp is "", "unconfined" or the host path of a profile.
	Seccomp string `json:"seccomp,omitempty"`
	// Label are SELinux options (type:…, disable, …); AppArmor a profile name.
	Label    []string `json:"label,omitempty"`
	AppArmor string   `json:"apparmor,omitempty"`
	// Mask and Unmask change the masked and read-only paths; Unmask "ALL".
	Mask   []string `json:"mask,omitempty"`
	Unmask []string `json:"unmask,omitempty"`
	// ProcOpts are mount options of /proc.
	ProcOpts []string `json:"proc_opts,omitempty"`
	// ReadOnly makes the root file system read-only; ReadOnlyTmpfs then puts a
	// tmpfs on /run, /tmp, /var/tmp (nil: yes).
	ReadOnly      bool              `json:"read_only,omitempty"`
	ReadOnlyTmpfs *bool             `json:"read_only_tmpfs,omitempty"`
	Sysctl        map[string]string `json:"sysctl,omitempty"`
	// Devices are HOST[:CONTAINER][:rwm]; DeviceCgroupRules as in docker.
	Devices           []string `json:"devices,omitempty"`
	DeviceCgroupRules []string `json:"device_cgroup_rules,omitempty"`
	// CDI are devices by their names in CDI specifications: VENDOR/CLASS=NAME.
	CDI []string `json:"cdi,omitempty"`
	// GPUs are entries of --gpus; libpod makes CDI names of them.
	GPUs []string `json:"-"`
	// Ulimits are NAME=SOFT[:HARD], or "host".
	Ulimits []string `json:"ulimits,omitempty"`
}

// Spaces are the namespaces: "" (default), "private", "host", "container:ID" or
// "ns:PATH"; IPC also "none" and "shareable".
type Spaces struct {
	PID    string `json:"pid,omitempty"`
	IPC    string `json:"ipc,omitempty"`
	UTS    string `json:"uts,omitempty"`
	Cgroup string `json:"cgroup,omitempty"`
	// User is "", "host", "private", "keep-id[:uid=N,gid=N,size=N]", "nomap",
	// "auto[:size=N,…]", "container:ID" or "ns:PATH".
	User string `json:"user,omitempty"`
	// UIDMap and GIDMap are [+ug]INSIDE:[@]FROM[:SIZE]; SubUIDName and SubGIDName
	// take the ids of a user of /etc/subuid instead.
	UIDMap     []string `json:"uidmap,omitempty"`
	GIDMap     []string `json:"gidmap,omitempty"`
	SubUIDName string   `json:"subuidname,omitempty"`
	SubGIDName string   `json:"subgidname,omitempty"`
}

// Network is how the container is reached and reaches others.
type Network struct {
	// Mode is "", none, host, container:ID, ns:PATH, pasta[:opt,…],
	// slirp4netns[:opt,…], bridge; "" is the default (pasta when rootless).
	Mode string `json:"mode,omitempty"`
	// Networks are those of mode bridge. A description without any means the
	// default one, which is written down when the container is made: a record
	// without any is of a container that was disconnected from all.
	Networks []Attachment `json:"networks,omitempty"`
	// Ports are published ports, parsed and expanded.
	Ports []PortMapping `json:"ports,omitempty"`
	// PublishAll publishes every exposed port on a random host port.
	PublishAll bool `json:"publish_all,omitempty"`
	// Expose are PORT[-PORT][/PROTO], from the user and the image.
	Expose   []string `json:"expose,omitempty"`
	Hostname string   `json:"hostname,omitempty"`
	// AddHosts are NAME[;NAME…]:IP, IP may be "host-gateway".
	AddHosts []string `json:"add_hosts,omitempty"`
	// DNS servers ("none" keeps the image's resolv.conf), search, options.
	DNS        []string `json:"dns,omitempty"`
	DNSSearch  []string `json:"dns_search,omitempty"`
	DNSOptions []string `json:"dns_options,omitempty"`
	NoHosts    bool     `json:"no_hosts,omitempty"`
	// HostsFile is the base of /etc/hosts: a path, "image" or "none"; empty is the
	// configured one.
	HostsFile  string `json:"hosts_file,omitempty"`
	NoHostname bool   `json:"no_hostname,omitempty"`
	// Shape limits the rate of the container's own network, delays and drops.
	Shape Shape `json:"shape,omitzero"`
}

// PortMapping publishes Range consecutive ports.
type PortMapping struct {
	// HostIP is an address to listen on; empty is all.
	HostIP string `json:"host_ip"`
	// HostPort 0 asks for a free one.
	HostPort      uint16 `json:"host_port"`
	ContainerPort uint16 `json:"container_port"`
	// Range is the number of ports, at least 1.
	Range uint16 `json:"range"`
	// Protocol is tcp, udp or sctp.
	Protocol string `json:"protocol"`
	// Random: pod chose HostPort, and may choose another if that is taken.
	Random bool `json:"random,omitempty"`
}

// Storage is what is mounted.
type Storage struct {
	Mounts []Mount `json:"mounts,omitempty"`
	// VolumesFrom are CONTAINER[:ro|rw|z].
	VolumesFrom []string `json:"volumes_from,omitempty"`
	// ImageVolume says what a VOLUME of the image becomes: anonymous ("", also
	// called bind), tmpfs or ignore.
	ImageVolume string `json:"image_volume,omitempty"`
	// ChrootDirs are directories of the container in which its hosts, resolv.conf
	// and hostname are too.
	ChrootDirs []string `json:"chroot_dirs,omitempty"`
}

// Mount is one -v, --mount or --tmpfs. Type is bind, volume, tmpfs, ramfs,
// devpts, image, glob or scratch.
type Mount struct {
	Type string `json:"type"`
	// Source is an absolute host path (bind) or a volume name; an empty name
	// asks for an anonymous volume. For scratch it is image:ID or container:ID,
	// whose root file system lies below a layer that ends with the container.
	Source      string `json:"source,omitempty"`
	Destination string `json:"destination"`
	// Options as the kernel and the field know them: ro, rw, z, Z, U, O,
	// rprivate …, nosuid, exec, copy, nocopy, size=…, mode=…, idmap.
	Options []string `json:"options,omitempty"`
	// SubPath of a volume or an image.
	SubPath string `json:"subpath,omitempty"`
	// Driver, DriverOptions and Labels are of a volume that does not exist yet.
	Driver        string            `json:"driver,omitempty"`
	DriverOptions map[string]string `json:"driver_options,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
}

// Log says where output goes.
type Log struct {
	// Driver is k8s-file, journald, none, passthrough or passthrough-tty;
	// json-file is k8s-file under another name.
	Driver string `json:"driver,omitempty"`
	// Path of the log file; empty is the container's own directory.
	Path string `json:"path,omitempty"`
	Tag  string `json:"tag,omitempty"`
	// MaxSize in bytes from which on the file is rotated; 0 never.
	MaxSize int64 `json:"max_size,omitempty"`
	// MaxAge of the oldest line of the file before it is rotated; 0 never.
	MaxAge time.Duration `json:"max_age,omitempty"`
	// MaxFiles are kept, the one that is written included; 0 is DefaultLogFiles.
	MaxFiles int `json:"max_files,omitempty"`
	// Labels are KEY=VALUE, shown by logs --details; LabelNames name labels of
	// the container that are shown too.
	Labels     []string `json:"labels,omitempty"`
	LabelNames []string `json:"label_names,omitempty"`
}

// ImageConfig is what pod reads of an image's configuration, and nothing else.
// It is hostile input: values are used as they are, never expanded.
type ImageConfig struct {
	ID           string
	Digest       string
	Name         string // a name of the image, for records
	Platform     string // OS/ARCHITECTURE that it says it is for
	Entrypoint   []string
	Cmd          []string
	Env          []string
	WorkingDir   string
	User         string
	StopSignal   string
	Labels       map[string]string
	Volumes      []string
	ExposedPorts []string
	Health       *ImageHealth
	Created      time.Time
}

// Facts are what ToOCI must know of the host and of decisions made by libpod.
type Facts struct {
	ID string
	// RootfsPath is the mounted root file system.
	RootfsPath string
	// Rootless, InUserNS: no real root here; some mounts and devices differ.
	Rootless bool
	// SingleID: pod's own user namespace maps one id only, for want of sub-ids.
	SingleID bool
	// UIDMap and GIDMap are set when the container gets a user namespace of its
	// own below pod's.
	UIDMap, GIDMap []rspec.LinuxIDMapping
	// Env is the configured default environment (containers.conf), lowest.
	Env []string
	// UID, GID, Groups, Home: Process.User resolved in the container.
	UID, GID uint32
	Groups   []uint32
	Home     string
	// DefaultCapabilities as of containers.conf, CAP_ prefix.
	DefaultCapabilities []string
	// Bounding are the capabilities pod itself holds (in its user namespace),
	// CAP_ prefix; others cannot be given.
	Bounding []string
	// Seccomp is the compiled profile, nil when unconfined or unsupported.
	Seccomp *rspec.LinuxSeccomp
	// ProcessLabel and MountLabel are SELinux labels; empty without SELinux.
	ProcessLabel, MountLabel string
	// MaskedPaths are masked besides the default ones.
	MaskedPaths []string
	// OOMScoreAdj is pod's own; without privileges it can only be raised.
	OOMScoreAdj int
	// DefaultUlimits, as NAME=SOFT:HARD, are clamped to MaxUlimits, the hard
	// limits pod has, by the name OCI uses (RLIMIT_NOFILE).
	DefaultUlimits []string
	MaxUlimits     map[string]uint64
	// DefaultPidsLimit is applied when the user has no wish and CanPids.
	DefaultPidsLimit int64
	// Controllers are the cgroup controllers pod may use for containers.
	Controllers []string
	// CgroupsPath is the runtime's cgroupsPath; empty: the cgroup manager is
	// none, no path and no limits are given.
	CgroupsPath string
	// NoMqueue: the host has no /dev/mqueue to bind for --ipc=host.
	NoMqueue bool
	// NoSwapLimit: the kernel does not account swap (no memory.swap.max).
	NoSwapLimit bool
	// NoIOWeight: the kernel shares block I/O by no weight (no io.weight).
	NoIOWeight bool
	// BlockDevices are the block devices that limits name, by their path.
	BlockDevices map[string]DeviceNumber
	// CgroupV2 says whether /sys/fs/cgroup is unified.
	CgroupV2 bool
	// NetNS is the path of the network namespace; "host" means none is made,
	// empty lets the runtime make one (which then belongs to the container's
	// own user namespace, if it has one).
	NetNS string
	// PIDNS, IPCNS, UTSNS, CgroupNS, UserNS: resolved paths for container: and
	// ns:. UIDMap and GIDMap are then those of UserNS.
	PIDNS, IPCNS, UTSNS, CgroupNS, UserNS string
	// Hostname to set in a private UTS namespace.
	Hostname string
	// HostnameRefused: the runtime cannot set it here, so the name stays what it is.
	HostnameRefused bool
	// Binds are files pod made: /etc/hosts, /etc/resolv.conf, /etc/hostname,
	// /run/.containerenv, /dev/shm, /run/podman-init.
	Binds []rspec.Mount
	// Volumes maps a volume name to its directory on the host.
	Volumes map[string]string
	// VolumeFlags maps a volume name to the flags of its own, which hold in
	// containers too.
	VolumeFlags map[string][]string
	// MountSources maps the destination of a mount to the host path to bind
	// there, when that is not plainly its source: a resolved sub-path, an
	// overlay (option O).
	MountSources map[string]string
	// Overlays maps the destination of a scratch mount to the options of the
	// overlay that it becomes.
	Overlays map[string][]string
	// HostDevices are the device nodes of the host, by host path: all of them
	// when privileged, those of --device otherwise. The runtime makes the
	// standard ones (null, zero, …) by itself.
	HostDevices []rspec.LinuxDevice
	// InitPath is where the init binary is inside the container; empty means
	// /run/podman-init, the field's place for it.
	InitPath string
}
