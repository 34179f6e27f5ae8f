package specgen

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/docker/go-units"
	"github.com/moby/sys/signal"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

var nameRE = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) }) //nolint:gochecknoglobals // compiled once, when it is needed

// CheckName tests the name of a container or volume.
func CheckName(name string) error {
	if !nameRE().MatchString(name) {
		return fmt.Errorf("invalid name %q: it must match [a-zA-Z0-9][a-zA-Z0-9_.-]*", name)
	}
	return nil
}

// ParseSize reads a number of bytes with an optional unit b, k, m, g, t or p
// (powers of 1024).
func ParseSize(s string) (int64, error) {
	n, err := units.RAMInBytes(s)
	if err != nil || n < 0 || n == math.MaxInt64 {
		return 0, fmt.Errorf("invalid size %q: it must be NUMBER[b|k|m|g]", s)
	}
	return n, nil
}

// ParseSignal reads the name (with or without SIG) or the number of a signal.
func ParseSignal(s string) (syscall.Signal, error) {
	sig, err := signal.ParseSignal(s)
	if err != nil || sig < 1 || sig > 64 {
		return 0, fmt.Errorf("invalid signal %q", s)
	}
	return sig, nil
}

// ParseRestart reads a restart policy: no, always, unless-stopped or
// on-failure[:MAX].
func ParseRestart(s string) (policy string, retries uint, err error) {
	policy, limit, hasLimit := strings.Cut(s, ":")
	switch policy {
	case "", "no", "always", "unless-stopped", "on-failure":
	default:
		return "", 0, fmt.Errorf("invalid restart policy %q: it must be no, always, unless-stopped or on-failure[:MAX]", s)
	}
	if !hasLimit {
		return policy, 0, nil
	}
	if policy != "on-failure" {
		return "", 0, fmt.Errorf("invalid restart policy %q: only on-failure takes a number of retries", s)
	}
	n, err := strconv.ParseUint(limit, 10, 31)
	if err != nil {
		return "", 0, fmt.Errorf("invalid restart policy %q: %q is not a number of retries", s, limit)
	}
	return policy, uint(n), nil
}

// ParseUser splits UID|NAME[:GID|GROUP].
func ParseUser(s string) (user, group string, err error) {
	user, group, hasGroup := strings.Cut(s, ":")
	if hasControl(s) || strings.Contains(group, ":") || (user == "" && group == "") || (hasGroup && group == "" && user == "") {
		return "", "", fmt.Errorf("invalid user %q: it must be NAME|UID[:GROUP|GID]", s)
	}
	return user, group, nil
}

// UserNS is a parsed --userns.
type UserNS struct {
	// KeepID: the container has a user namespace in which the user keeps an id;
	// otherwise it shares pod's.
	KeepID bool
	// Auto: one of its own with ids no other container has; NoMap: one in which
	// the user himself has none.
	Auto, NoMap bool
	// UID and GID are where keep-id puts the user; nil means his own.
	UID, GID *uint32
	// Size is the number of ids of keep-id and auto; 0 is all, or as needed.
	Size uint32
	// UIDMap and GIDMap are mappings that auto is to contain.
	UIDMap, GIDMap []rspec.LinuxIDMapping
	// Container is whose namespace is joined, Path the file of one.
	Container, Path string
}

// ParseUserNS reads Spaces.User.
func ParseUserNS(s string) (UserNS, error) {
	mode, opts, hasOpts := strings.Cut(s, ":")
	u := UserNS{KeepID: mode == "keep-id", Auto: mode == "auto", NoMap: mode == "nomap"}
	switch mode {
	case "", "host", "nomap", "private":
		if hasOpts {
			return UserNS{}, fmt.Errorf("invalid user namespace %q", s)
		}
		return u, nil
	case "container", "ns":
		if opts == "" || hasControl(opts) || (mode == "ns" && !path.IsAbs(opts)) {
			return UserNS{}, fmt.Errorf("invalid user namespace %q: it must be container:NAME or ns:PATH", s)
		}
		if u.Container = opts; mode == "ns" {
			u.Container, u.Path = "", opts
		}
		return u, nil
	case "keep-id", "auto":
	default:
		return UserNS{}, fmt.Errorf("invalid user namespace %q: it must be host, keep-id[:uid=N,gid=N,size=N], auto, nomap, container:NAME or ns:PATH", s)
	}
	if !hasOpts {
		return u, nil
	}
	for o := range strings.SplitSeq(opts, ",") {
		if err := u.setOption(o); err != nil {
			return UserNS{}, err
		}
	}
	return u, nil
}

// setOption reads KEY=VALUE of keep-id or auto.
func (u *UserNS) setOption(o string) error {
	key, value, _ := strings.Cut(o, "=")
	switch {
	case u.Auto && (key == "uidmapping" || key == "gidmapping"):
		rule, err := parseIDRule("mapping", value)
		if err != nil || rule.extend || rule.host || rule.uid || rule.gid {
			return fmt.Errorf("invalid user namespace option %q: it must be %s=INSIDE:OUTSIDE:SIZE", o, key)
		}
		to := &u.UIDMap
		if key == "gidmapping" {
			to = &u.GIDMap
		}
		*to = append(*to, rspec.LinuxIDMapping{ContainerID: uint32(rule.inside), HostID: uint32(rule.from), Size: uint32(rule.size)})
		return nil
	case key != "size" && (u.Auto || (key != "uid" && key != "gid")):
		return fmt.Errorf("invalid user namespace option %q: keep-id has uid=N, gid=N and size=N, auto has size=N, uidmapping= and gidmapping=", o)
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || (key == "size" && n == 0) {
		return fmt.Errorf("invalid user namespace option %q: it must be a number", o)
	}
	id := uint32(n)
	switch key {
	case "uid":
		u.UID = &id
	case "gid":
		u.GID = &id
	default:
		u.Size = id
	}
	return nil
}

// Ulimit is a parsed --ulimit; math.MaxUint64 is unlimited.
type Ulimit struct {
	Name       string
	Soft, Hard uint64
}

// ParseUlimit reads NAME=SOFT[:HARD]; -1 is unlimited.
func ParseUlimit(s string) (Ulimit, error) {
	name, value, _ := strings.Cut(s, "=")
	u := Ulimit{Name: strings.TrimPrefix(strings.ToLower(name), "rlimit_")}
	switch u.Name {
	case "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
		"rss", "rtprio", "rttime", "sigpending", "stack":
	default:
		return Ulimit{}, fmt.Errorf("invalid ulimit %q: unknown name %q", s, name)
	}
	soft, hard, hasHard := strings.Cut(value, ":")
	if !hasHard {
		hard = soft
	}
	var err error
	if u.Soft, err = parseLimit(soft); err == nil {
		u.Hard, err = parseLimit(hard)
	}
	if err != nil {
		return Ulimit{}, fmt.Errorf("invalid ulimit %q: it must be NAME=SOFT[:HARD]", s)
	}
	if u.Soft > u.Hard {
		return Ulimit{}, fmt.Errorf("invalid ulimit %q: the soft limit is above the hard limit", s)
	}
	return u, nil
}

func parseLimit(s string) (uint64, error) {
	if s == "-1" || s == "unlimited" {
		return math.MaxUint64, nil
	}
	return strconv.ParseUint(s, 10, 64)
}

// ParseSecurityOpt applies one value of --security-opt.
func ParseSecurityOpt(s string, sec *Security) error {
	key, value, hasValue := strings.Cut(s, "=")
	if !hasValue {
		key, value, hasValue = strings.Cut(s, ":")
	}
	if !hasValue && key != "no-new-privileges" {
		return fmt.Errorf("invalid --security-opt %q: it must be KEY=VALUE", s)
	}
	switch key {
	case "apparmor":
		sec.AppArmor = value
	case "label":
		sec.Label = append(sec.Label, value)
	case "seccomp":
		sec.Seccomp = value
	case "no-new-privileges":
		on := true
		if hasValue {
			var err error
			if on, err = strconv.ParseBool(value); err != nil {
				return fmt.Errorf("invalid --security-opt %q: it must be true or false", s)
			}
		}
		sec.NoNewPrivileges = on
	case "mask":
		sec.Mask = append(sec.Mask, strings.Split(value, ":")...)
	case "unmask":
		if strings.EqualFold(value, "all") {
			value = "ALL"
		}
		sec.Unmask = append(sec.Unmask, strings.Split(value, ":")...)
	case "systempaths":
		if value != "unconfined" {
			return fmt.Errorf("invalid --security-opt %q: systempaths must be unconfined", s)
		}
		sec.Unmask = append(sec.Unmask, "ALL")
	case "proc-opts":
		sec.ProcOpts = append(sec.ProcOpts, strings.Split(value, ",")...)
	default:
		return fmt.Errorf("unknown --security-opt %q", key)
	}
	return nil
}

// Device is a parsed --device.
type Device struct {
	// Host is its path on the host, Container that in the container.
	Host, Container string
	// Access is some of r, w and m.
	Access string
}

// ParseDevice reads HOST[:CONTAINER][:rwm].
func ParseDevice(s string) (Device, error) {
	parts := strings.Split(s, ":")
	d := Device{Host: parts[0], Container: parts[0], Access: "rwm"}
	switch {
	case len(parts) == 2 && isAccess(parts[1]):
		d.Access = parts[1]
	case len(parts) == 2:
		d.Container = parts[1]
	case len(parts) == 3:
		d.Container, d.Access = parts[1], parts[2]
	case len(parts) > 3:
		return Device{}, fmt.Errorf("invalid device %q: it must be HOST[:CONTAINER][:rwm]", s)
	}
	if !path.IsAbs(d.Host) {
		return Device{}, fmt.Errorf("invalid device %q: the path must be absolute", s)
	}
	if !isAccess(d.Access) {
		return Device{}, fmt.Errorf("invalid device %q: access %q must be some of r, w and m", s, d.Access)
	}
	if err := checkDestination(d.Container); err != nil {
		return Device{}, fmt.Errorf("invalid device %q: %w", s, err)
	}
	d.Host, d.Container = path.Clean(d.Host), path.Clean(d.Container)
	return d, nil
}

func isAccess(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "rwm") == ""
}
