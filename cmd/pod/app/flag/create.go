package flag

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/cdi"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// CreateOptions is what the flags of run and create say besides the
// description of the container.
type CreateOptions struct {
	// Pull is always, missing, never or newer; empty is the configured policy.
	Pull string
	// Platform is OS/ARCH[/VARIANT], of --platform or of --os, --arch and
	// --variant; empty is the machine's.
	Platform string
	// Creds is USER[:PASSWORD].
	Creds string
	// TLSVerify is nil when the configuration decides.
	TLSVerify         *bool
	Authfile, CertDir string
	// Retry counts attempts of a pull; nil is the configured number.
	Retry *uint
	// RetryDelay is a duration; empty is the configured one.
	RetryDelay string
	Quiet      bool
	// DecryptionKeys are KEY[:PASSPHRASE] of an encrypted image.
	DecryptionKeys []string
	// SignaturePolicy is a policy.json.
	SignaturePolicy string
	// Attach names stdin, stdout, stderr; empty is all that fit.
	Attach []string

	fs                 *pflag.FlagSet
	shape              specgen.ShapeChange
	env                []string
	envFiles           []string
	labelFiles         []string
	envHost, httpProxy bool
	rootfs             bool
	os, arch, variant  string
	readOnlyTmpfs      bool
	stopTimeout        uint
	oomScoreAdj        int
	retry              uint
	attached           attached
	health             *HealthOptions
	podIDFile          string
}

// RunOptions is what run has beside create.
type RunOptions struct {
	// Detach leaves the container alone once it runs.
	Detach bool
	// DetachKeys is the sequence that detaches a terminal.
	DetachKeys string
	// SigProxy passes signals on to the container.
	SigProxy bool
	// RemoveImage is --rmi, Passwd --passwd.
	RemoveImage, Passwd bool
	// PreserveFDs gives the descriptors the container is to get.
	PreserveFDs func() ([]uint, error)
}

// Fill puts into the description what only run says.
func (o *RunOptions) Fill(c *specgen.Container) (err error) {
	if o.RemoveImage {
		c.Remove, c.RemoveImage = true, true
	}
	if !o.Passwd {
		c.Accounts.Passwd = &o.Passwd
	}
	c.Process.PreserveFDs, err = o.PreserveFDs()
	return err
}

// Run registers the flags that run has beside those of create.
func Run(fs *pflag.FlagSet) *RunOptions {
	o := &RunOptions{}
	fs.BoolVarP(&o.Detach, "detach", "d", false, "Run container in background and print container ID")
	DetachKeys(fs, &o.DetachKeys)
	fs.BoolVar(&o.SigProxy, "sig-proxy", true, "Proxy received signals to the process")
	fs.BoolVar(&o.RemoveImage, "rmi", false, "Remove image unless used by other containers, implies --rm")
	fs.BoolVar(&o.Passwd, "passwd", true, "Add entries to /etc/passwd and /etc/group")
	o.PreserveFDs = PreserveFDs(fs)
	return o
}

// Check tests what the flags of run and create say together.
func (o *RunOptions) Check(create *CreateOptions) error {
	if o.Detach && len(create.Attach) > 0 {
		return errors.New("--detach and --attach exclude each other")
	}
	return nil
}

// Create registers the flags of create and run; parsing them fills c. The
// command must stop parsing at the image (SetInterspersed(false)).
func Create(fs *pflag.FlagSet, c *specgen.Container) *CreateOptions {
	o := &CreateOptions{fs: fs}
	// cobra would add --help with -h, which is --hostname here, and panic.
	fs.Bool("help", false, "Show this help")
	identity(fs, c, o)
	process(fs, &c.Process, o)
	environment(fs, &c.Process, o)
	security(fs, &c.Security, o)
	resources(fs, &c.Resources)
	spaces(fs, c)
	network(fs, &c.Network, o)
	storage(fs, &c.Storage)
	logging(fs, &c.Log)
	imageAccess(fs, o)
	more(fs, c, o)
	o.health = Health(fs, &c.Health)
	return o
}

func identity(fs *pflag.FlagSet, c *specgen.Container, o *CreateOptions) {
	fs.StringVar(&c.Name, "name", "", "Assign a name to the container")
	fs.BoolVar(&c.Replace, "replace", false, "If a container with the same name exists, replace it")
	fs.BoolVar(&c.Remove, "rm", false, "Remove container and any anonymous volumes after exit")
	parsed(fs, "restart", "", "Restart policy to apply when a container exits: no, always, unless-stopped, on-failure[:MAX]", func(s string) (err error) {
		c.Restart, c.RestartRetries, err = specgen.ParseRestart(s)
		return err
	})
	fs.StringVar(&c.CIDFile, "cidfile", "", "Write the container ID to the file")
	fs.StringVar(&c.PIDFile, "pidfile", "", "Write the container process ID to the file")
	fs.StringVar(&c.ConmonPIDFile, "conmon-pidfile", "", "Path to the file that will receive the PID of conmon")
	fs.BoolVar(&o.rootfs, "rootfs", false, "The first argument is not an image but the rootfs to the exploded container: DIR[:O|:idmap]")
	each(fs, "label", "l", "Set metadata on container", into(&c.Labels))
	each(fs, "annotation", "", "Add annotations to container (key=value)", into(&c.Annotations))
	fs.StringArrayVar(&o.labelFiles, "label-file", nil, "Read in a line delimited file of labels")
	fs.StringVar(&c.Pod, "pod", "", "Run container in an existing pod, or in a new one: NAME, or new:NAME")
	fs.StringVar(&o.podIDFile, "pod-id-file", "", "Read the pod ID from the file")
}

func process(fs *pflag.FlagSet, p *specgen.Process, o *CreateOptions) {
	fs.BoolVarP(&p.Stdin, "interactive", "i", false, "Make STDIN available to the contained process")
	fs.BoolVarP(&p.Terminal, "tty", "t", false, "Allocate a pseudo-TTY for container")
	parsed(fs, "entrypoint", "", "Overwrite the default ENTRYPOINT of the image: a word or a JSON array, \"\" for none", func(s string) error {
		p.Entrypoint = parseEntrypoint(s)
		return nil
	})
	fs.StringVarP(&p.WorkDir, "workdir", "w", "", "Working directory inside the container")
	fs.StringVarP(&p.User, "user", "u", "", "Username or UID (format: <name|uid>[:<group|gid>])")
	fs.StringSliceVar(&p.Groups, "group-add", nil, "Add additional groups to the primary container process; 'keep-groups' keeps those of the host's user")
	parsed(fs, "umask", "0022", "Set umask in container", func(s string) error {
		p.Umask = s
		return nil
	})
	fs.BoolVar(&p.Init, "init", false, "Run an init binary inside the container that forwards signals and reaps processes")
	fs.StringVar(&p.InitPath, "init-path", "", "Path to the container-init binary")
	fs.StringVar(&p.StopSignal, "stop-signal", "", "Signal to stop a container (default SIGTERM)")
	fs.UintVar(&o.stopTimeout, "stop-timeout", 10, "Timeout (in seconds) that containers stopped by user command have to exit")
	fs.UintVar(&p.Timeout, "timeout", 0, "Maximum length of time (in seconds) a container is allowed to run, 0 for no limit")
	fs.StringVar(&p.Timezone, "tz", "", "Set timezone in container, 'local' for the host's")
	fs.IntVar(&o.oomScoreAdj, "oom-score-adj", 0, "Tune the host's OOM preferences (-1000 to 1000)")
	eachInList(fs, "attach", "a", "Attach to STDIN, STDOUT or STDERR", func(s string) error {
		switch s = strings.ToLower(s); s {
		case "stdin", "stdout", "stderr":
			o.Attach = append(o.Attach, s)
			return nil
		}
		return fmt.Errorf("%q is not stdin, stdout or stderr", s)
	})
}

func environment(fs *pflag.FlagSet, p *specgen.Process, o *CreateOptions) {
	fs.StringArrayVarP(&o.env, "env", "e", nil, "Set environment variables in container: NAME=VALUE, NAME or PREFIX*")
	fs.StringArrayVar(&o.envFiles, "env-file", nil, "Read in a file of environment variables")
	fs.BoolVar(&o.envHost, "env-host", false, "Use all current host environment variables in container")
	fs.BoolVar(&o.httpProxy, "http-proxy", true, "Set proxy environment variables in the container based on the host proxy vars")
	fs.StringArrayVar(&p.UnsetEnv, "unsetenv", nil, "Unset environment default variables in container")
	fs.BoolVar(&p.UnsetEnvAll, "unsetenv-all", false, "Unset all default environment variables in container")
}

func security(fs *pflag.FlagSet, s *specgen.Security, o *CreateOptions) {
	fs.BoolVar(&s.Privileged, "privileged", false, "Give extended privileges to container")
	fs.StringSliceVar(&s.CapAdd, "cap-add", nil, "Add capabilities to the container")
	fs.StringSliceVar(&s.CapDrop, "cap-drop", nil, "Drop capabilities from the container")
	each(fs, "security-opt", "", "Security options: no-new-privileges, seccomp=, apparmor=, label=, mask=, unmask=, proc-opts=", func(w string) error {
		return specgen.ParseSecurityOpt(w, s)
	})
	fs.BoolVar(&s.ReadOnly, "read-only", false, "Make containers root filesystem read-only")
	fs.BoolVar(&o.readOnlyTmpfs, "read-only-tmpfs", true, "When running --read-only containers mount read-write tmpfs on /run, /tmp and /var/tmp")
	eachInList(fs, "sysctl", "", "Sysctl options (NAME=VALUE)", sysctl(s))
	each(fs, "device", "", "Add a host device to the container: HOST[:CONTAINER][:rwm], or VENDOR/CLASS=NAME of a CDI specification", func(w string) error {
		if cdi.IsName(w) {
			s.CDI = append(s.CDI, w)
		} else {
			s.Devices = append(s.Devices, w)
		}
		return nil
	})
	fs.StringSliceVar(&s.GPUs, "gpus", nil, "GPU devices to add to the container ('all' to pass all GPUs)")
	fs.StringSliceVar(&s.DeviceCgroupRules, "device-cgroup-rule", nil, "Add a rule to the cgroup allowed devices list")
	fs.StringSliceVar(&s.Ulimits, "ulimit", nil, "Ulimit options: NAME=SOFT[:HARD], or 'host'")
}

func sysctl(s *specgen.Security) func(string) error {
	return func(w string) error {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q must be NAME=VALUE", w)
		}
		put(&s.Sysctl, name, value)
		return nil
	}
}

func spaces(fs *pflag.FlagSet, c *specgen.Container) {
	fs.StringVar(&c.Spaces.User, "userns", "", "User namespace to use: host, keep-id[:uid=N,gid=N,size=N], auto[:size=N], nomap, container:NAME or ns:PATH")
	for _, s := range []struct {
		to          *string
		name, usage string
	}{
		{&c.Spaces.PID, "pid", "PID namespace to use: private, host, container:NAME or ns:PATH"},
		{&c.Spaces.IPC, "ipc", "IPC namespace to use: private, shareable, none, host, container:NAME or ns:PATH"},
		{&c.Spaces.UTS, "uts", "UTS namespace to use: private, host, container:NAME or ns:PATH"},
		{&c.Spaces.Cgroup, "cgroupns", "Cgroup namespace to use: private, host, container:NAME or ns:PATH"},
	} {
		fs.StringVar(s.to, s.name, "", s.usage)
	}
}

func network(fs *pflag.FlagSet, n *specgen.Network, o *CreateOptions) {
	attachments(fs, n, &o.attached)
	eachInList(fs, "publish", "p", "Publish a container's port, or a range of ports, to the host: [[IP:][HOST]:]CONTAINER[/PROTOCOL]", func(s string) error {
		ports, err := specgen.ParsePorts([]string{s})
		n.Ports = append(n.Ports, ports...)
		return err
	})
	fs.BoolVarP(&n.PublishAll, "publish-all", "P", false, "Publish all exposed ports to random ports on the host interface")
	eachInList(fs, "expose", "", "Expose a port or a range of ports", func(s string) error {
		_, err := specgen.ParseExpose(s)
		n.Expose = append(n.Expose, s)
		return err
	})
	Shape(fs, "network-", &o.shape)
	fs.StringVarP(&n.Hostname, "hostname", "h", "", "Set container hostname")
	fs.BoolVar(&n.NoHostname, "no-hostname", false, "Do not create /etc/hostname within the container, instead use the version from the image")
	fs.StringSliceVar(&n.AddHosts, "add-host", nil, "Add a custom host-to-IP mapping (host:ip)")
	fs.BoolVar(&n.NoHosts, "no-hosts", false, "Do not create /etc/hosts within the container, instead use the version from the image")
	fs.StringSliceVar(&n.DNS, "dns", nil, "Set custom DNS servers")
	fs.StringSliceVar(&n.DNSOptions, "dns-option", nil, "Set custom DNS options")
	fs.StringSliceVar(&n.DNSSearch, "dns-search", nil, "Set custom DNS search domains")
}

// attached is what flags say of the only network there is.
type attached struct {
	ips     []netip.Addr
	mac     string
	aliases []string
}

// given says whether they say anything.
func (o *attached) given() bool { return len(o.ips)+len(o.aliases) > 0 || o.mac != "" }

// attachments registers the flags about networks that containers and pods share.
func attachments(fs *pflag.FlagSet, n *specgen.Network, o *attached) {
	mode := func(s string) error { return n.AddMode(s) }
	each(fs, "network", "", "Connect a container to a network: NAME[:ip=,ip6=,mac=,alias=,interface_name=], bridge, none, host, container:NAME, ns:PATH, pasta[:OPTIONS], slirp4netns[:OPTIONS]", mode)
	each(fs, "net", "", "Connect a container to a network", mode)
	_ = fs.MarkHidden("net") // docker's name for --network
	address := func(four bool) func(string) error {
		return func(s string) error {
			ip, err := netip.ParseAddr(s)
			if err != nil || ip.Unmap().Is4() != four {
				return fmt.Errorf("%q is not an address of the family", s)
			}
			o.ips = append(o.ips, ip.Unmap())
			return nil
		}
	}
	each(fs, "ip", "", "Specify a static IPv4 address for the container", address(true))
	each(fs, "ip6", "", "Specify a static IPv6 address for the container", address(false))
	fs.StringVar(&o.mac, "mac-address", "", "Container MAC address (e.g. 92:d0:c6:0a:29:33)")
	fs.StringSliceVar(&o.aliases, "network-alias", nil, "Add network-scoped alias for the container")
}

func storage(fs *pflag.FlagSet, s *specgen.Storage) {
	add := func(parse func(string) (specgen.Mount, error)) func(string) error {
		return func(w string) error {
			m, err := parse(w)
			s.Mounts = append(s.Mounts, m)
			return err
		}
	}
	each(fs, "volume", "v", "Bind mount a volume into the container: [SOURCE:]DESTINATION[:OPTIONS]", add(specgen.ParseVolume))
	each(fs, "mount", "", "Attach a filesystem mount to the container: type=bind|volume|tmpfs|image|glob|ramfs|devpts,…", add(specgen.ParseMount))
	each(fs, "tmpfs", "", "Mount a temporary filesystem (tmpfs) into a container: DESTINATION[:OPTIONS]", add(specgen.ParseTmpfs))
	fs.StringArrayVar(&s.VolumesFrom, "volumes-from", nil, "Mount volumes from the specified container(s)")
	parsed(fs, "image-volume", "anonymous", "How image volumes are handled: anonymous, tmpfs or ignore", func(w string) error {
		s.ImageVolume = w
		return nil
	})
}

func logging(fs *pflag.FlagSet, l *specgen.Log) {
	fs.StringVar(&l.Driver, "log-driver", "", "Logging driver for the container: k8s-file, journald, none, passthrough or passthrough-tty")
	each(fs, "log-opt", "", "Logging driver options: path=, tag=, max-size=, max-file=, max-age=, label=KEY=VALUE, labels=KEY,...", func(s string) error {
		return specgen.ParseLogOpts([]string{s}, l)
	})
}

func imageAccess(fs *pflag.FlagSet, o *CreateOptions) {
	parsed(fs, "pull", "missing", "Pull image policy: always, missing, never or newer", func(s string) error {
		switch s {
		case "always", "missing", "never", "newer":
			o.Pull = s
			return nil
		}
		return fmt.Errorf("%q is not always, missing, never or newer", s)
	})
	fs.StringVar(&o.Platform, "platform", "", "Specify the platform for selecting the image: OS/ARCH[/VARIANT]")
	fs.StringVar(&o.os, "os", "", "Use `OS` instead of the running OS for choosing images")
	fs.StringVar(&o.arch, "arch", "", "Use `ARCH` instead of the architecture of the machine for choosing images")
	fs.StringVar(&o.variant, "variant", "", "Use `VARIANT` instead of the running architecture variant for choosing images")
	fs.StringVar(&o.Creds, "creds", "", "`Credentials` (USERNAME:PASSWORD) to use for authenticating to a registry")
	fs.StringVar(&o.Authfile, "authfile", "", "Path of the authentication file")
	fs.StringVar(&o.CertDir, "cert-dir", "", "`Pathname` of a directory containing TLS certificates and keys")
	optionalBool(fs, &o.TLSVerify, "tls-verify", "Require HTTPS and verify certificates when contacting registries for pulling images")
	fs.UintVar(&o.retry, "retry", 3, "Number of times to retry in case of failure when performing pull")
	fs.StringVar(&o.RetryDelay, "retry-delay", "", "Delay between retries in case of pull failures")
	fs.BoolVarP(&o.Quiet, "quiet", "q", false, "Suppress output information when pulling images")
}

// optionalBool adds a flag that may be unset.
func optionalBool(fs *pflag.FlagSet, to **bool, name, usage string) {
	fs.Var(&value{kind: "bool", read: func(s string) error {
		b, err := strconv.ParseBool(s)
		*to = &b
		return err
	}}, name, usage)
	fs.Lookup(name).NoOptDefVal = "true"
}

// parseEntrypoint reads a JSON array of words or one word; "" is none at all.
func parseEntrypoint(s string) []string {
	if s == "" {
		return []string{}
	}
	if !strings.HasPrefix(s, "[") {
		return []string{s}
	}
	var words []string
	if err := json.Unmarshal([]byte(s), &words); err != nil {
		return []string{s} // a program's name may begin with a bracket, as [ does
	}
	return words
}

// into reads NAME=VALUE into a map.
func into(m *map[string]string) func(string) error {
	return func(s string) error {
		name, value, err := specgen.ParseLabel(s)
		if err == nil {
			put(m, name, value)
		}
		return err
	}
}

func put(m *map[string]string, name, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[name] = value
}
