package flag

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/cdi"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// PodOptions is what the flags of pod create and clone say besides the description
// of the pod.
type PodOptions struct {
	// IDFile receives the pod's id.
	IDFile string
	// ExitPolicy says whether --exit-policy was given, InfraImage the image.
	ExitPolicy, InfraImage bool

	fs         *pflag.FlagSet
	labelFiles []string
	infra      bool
	parent     bool
	attached   attached
}

// Pod registers the flags of pod create; parsing them fills p.
func Pod(fs *pflag.FlagSet, p *specgen.Pod) *PodOptions {
	o := podShared(fs, p)
	fs.BoolVar(&p.Replace, "replace", false, "If a pod with the same name exists, replace it")
	fs.BoolVar(&o.infra, "infra", true, "Create an infra container associated with the pod to share namespaces with")
	fs.StringVar(&p.InfraImage, "infra-image", "", "Image to use for the infra container, instead of the program that is built in")
	parsed(fs, "exit-policy", "continue", "Behaviour when the last container exits: continue or stop", func(s string) error {
		p.ExitPolicy = s
		return nil
	})
	parsed(fs, "share", "ipc,net,uts", "A comma delimited list of kernel namespaces the pod will share: cgroup, ipc, net, pid, user, uts or none; with + before one besides the default ones", func(s string) (err error) {
		p.Share, err = specgen.ParseShare(s)
		return err
	})
	fs.BoolVar(&o.parent, "share-parent", true, "Set the pod's cgroup as the cgroup parent for all containers joining the pod")
	fs.StringVar(&o.IDFile, "pod-id-file", "", "Write the pod ID to the file")
	podNetwork(fs, &p.Network, o)
	return o
}

// ClonePod registers the flags of pod clone; parsing them changes p.
func ClonePod(fs *pflag.FlagSet, p *specgen.Pod) *PodOptions { return podShared(fs, p) }

// podShared registers what pod create and clone share.
func podShared(fs *pflag.FlagSet, p *specgen.Pod) *PodOptions {
	o := &PodOptions{fs: fs, infra: true, parent: true}
	fs.Bool("help", false, "Show this help") // -h is --hostname
	fs.StringVarP(&p.Name, "name", "n", "", "Assign a name to the pod")
	each(fs, "label", "l", "Set metadata on pod", into(&p.Labels))
	fs.StringArrayVar(&o.labelFiles, "label-file", nil, "Read in a line delimited file of labels")
	parsed(fs, "restart", "", "Restart policy of the pod's containers: no, always, unless-stopped, on-failure[:MAX]", func(s string) (err error) {
		p.Restart, p.RestartRetries, err = specgen.ParseRestart(s)
		return err
	})
	fs.StringVarP(&p.Network.Hostname, "hostname", "h", "", "Set a hostname to the pod")
	fs.StringVar(&p.InfraName, "infra-name", "", "The name used as infra container name")
	fs.StringVar(&p.InfraConmonPIDFile, "infra-conmon-pidfile", "", "Path to the file that will receive the PID of the infra container's conmon")
	parsed(fs, "infra-command", "", "The command to run on the infra container when the pod is started", func(s string) error {
		p.InfraCommand = strings.Fields(s)
		return nil
	})
	podLimits(fs, &p.Resources)
	podSpaces(fs, &p.Spaces)
	podSecurity(fs, &p.Security)
	each(fs, "volume", "v", "Bind mount a volume into the pod's containers: [SOURCE:]DESTINATION[:OPTIONS]", func(s string) error {
		m, err := specgen.ParseVolume(s)
		p.Storage.Mounts = append(p.Storage.Mounts, m)
		return err
	})
	fs.StringArrayVar(&p.Storage.VolumesFrom, "volumes-from", nil, "Mount volumes from the specified container(s)")
	return o
}

func podLimits(fs *pflag.FlagSet, r *specgen.Resources) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	resources(all, r)
	all.VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "blkio-weight", "blkio-weight-device", "cgroup-parent", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems",
			"device-read-bps", "device-write-bps", "memory", "memory-swap", "shm-size":
			fs.AddFlag(f)
		}
	})
	parsed(fs, "shm-size-systemd", "", "Size of systemd specific tmpfs mounts (/run, /run/lock, /tmp, /var/log/journal) (`<number>[<unit>]`)", size(&r.ShmSizeSystemd))
}

func podSpaces(fs *pflag.FlagSet, s *specgen.Spaces) {
	fs.StringVar(&s.PID, "pid", "", "PID namespace of the infra container: private, host, container:NAME or ns:PATH")
	fs.StringVar(&s.UTS, "uts", "", "UTS namespace of the infra container: private, host, container:NAME or ns:PATH")
	fs.StringVar(&s.User, "userns", "", "User namespace of the pod: host, keep-id[:uid=N,gid=N,size=N], auto[:size=N], nomap, container:NAME or ns:PATH")
	userMaps(fs, s)
}

func podSecurity(fs *pflag.FlagSet, s *specgen.Security) {
	each(fs, "security-opt", "", "Security options of the pod's containers: no-new-privileges, seccomp=, apparmor=, label=", func(w string) error {
		return specgen.ParseSecurityOpt(w, s)
	})
	eachInList(fs, "sysctl", "", "Sysctl options of the shared namespaces (NAME=VALUE)", sysctl(s))
	each(fs, "device", "", "Add a host device to the pod's containers: HOST[:CONTAINER][:rwm], or VENDOR/CLASS=NAME of a CDI specification", func(w string) error {
		if cdi.IsName(w) {
			s.CDI = append(s.CDI, w)
		} else {
			s.Devices = append(s.Devices, w)
		}
		return nil
	})
	fs.StringSliceVar(&s.GPUs, "gpus", nil, "GPU devices to add to the pod's containers ('all' to pass all GPUs)")
}

func podNetwork(fs *pflag.FlagSet, n *specgen.Network, o *PodOptions) {
	attachments(fs, n, &o.attached)
	eachInList(fs, "publish", "p", "Publish a port of the pod, or a range of ports, to the host: [[IP:][HOST]:]CONTAINER[/PROTOCOL]", func(s string) error {
		ports, err := specgen.ParsePorts([]string{s})
		n.Ports = append(n.Ports, ports...)
		return err
	})
	fs.BoolVar(&n.NoHostname, "no-hostname", false, "Do not create /etc/hostname within the containers, instead use the version from the image")
	fs.StringSliceVar(&n.AddHosts, "add-host", nil, "Add a custom host-to-IP mapping (host:ip)")
	fs.BoolVar(&n.NoHosts, "no-hosts", false, "Do not create /etc/hosts within the pod's containers, instead use the version from the image")
	fs.StringVar(&n.HostsFile, "hosts-file", "", "Base file to create the /etc/hosts file of the pod: PATH, image or none")
	fs.StringSliceVar(&n.DNS, "dns", nil, "Set custom DNS servers")
	fs.StringSliceVar(&n.DNSOptions, "dns-option", nil, "Set custom DNS options")
	fs.StringSliceVar(&n.DNSSearch, "dns-search", nil, "Set custom DNS search domains")
}

// Finish completes p after parsing: files named by flags are read, relative paths
// made absolute.
func (o *PodOptions) Finish(p *specgen.Pod, host Host) error {
	c := &specgen.Container{
		Labels: p.Labels, Network: p.Network, Storage: p.Storage, Security: p.Security, ConmonPIDFile: p.InfraConmonPIDFile, PIDFile: o.IDFile,
	}
	if err := (&CreateOptions{labelFiles: o.labelFiles}).labels(c, host); err != nil {
		return err
	}
	if err := absolute(c, host); err != nil {
		return err
	}
	p.Labels, p.Network, p.Storage, p.Security, p.InfraConmonPIDFile, o.IDFile = c.Labels, c.Network, c.Storage, c.Security, c.ConmonPIDFile, c.PIDFile
	if !o.infra && o.attached.given() {
		return errors.New("cannot set --ip, --ip6, --mac-address or --network-alias without infra container: invalid argument")
	}
	if err := p.Network.SetSingle(o.attached.ips, o.attached.mac, o.attached.aliases); err != nil {
		return err
	}
	p.NoInfra, p.NoShareParent = p.NoInfra || !o.infra, p.NoShareParent || !o.parent
	o.ExitPolicy, o.InfraImage = o.fs.Changed("exit-policy"), o.fs.Changed("infra-image")
	if p.Spaces.User == "" && !p.Spaces.Mapped() && !p.NoInfra {
		p.Spaces.User, _ = host.LookupEnv("PODMAN_USERNS")
	}
	if p.NoInfra && !o.fs.Changed("share") && p.Share == nil {
		p.Share = []string{}
	}
	return nil
}

// Over lays what the flags said, in flags, over a description.
func (o *PodOptions) Over(p, flags *specgen.Pod) error {
	changed := func(names ...string) bool { return slices.ContainsFunc(names, o.fs.Changed) }
	if p.NoInfra {
		for _, name := range []string{
			"hostname", "infra-name", "infra-conmon-pidfile", "infra-command", "pid", "uts", "userns", "uidmap", "gidmap",
			"subuidname", "subgidname", "security-opt", "sysctl", "device", "gpus", "volume", "volumes-from", "shm-size", "shm-size-systemd",
		} {
			if changed(name) {
				return fmt.Errorf("--%s needs an infra container, which the pod has not", name)
			}
		}
	}
	if flags.Restart != "" {
		p.Restart, p.RestartRetries = flags.Restart, flags.RestartRetries
	}
	if flags.Spaces.Mapped() && flags.Spaces.User != "" {
		return errors.New("--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive")
	}
	for _, s := range []struct{ to, from *string }{
		{&p.Network.Hostname, &flags.Network.Hostname},
		{&p.InfraName, &flags.InfraName},
		{&p.InfraConmonPIDFile, &flags.InfraConmonPIDFile},
		{&p.Spaces.PID, &flags.Spaces.PID},
		{&p.Spaces.UTS, &flags.Spaces.UTS},
	} {
		if *s.from != "" {
			*s.to = *s.from
		}
	}
	if changed("userns", "uidmap", "gidmap", "subuidname", "subgidname") {
		pid, uts := p.Spaces.PID, p.Spaces.UTS
		p.Spaces = flags.Spaces
		p.Spaces.PID, p.Spaces.UTS = pid, uts
	}
	for name, value := range flags.Labels {
		put(&p.Labels, name, value)
	}
	if flags.InfraCommand != nil {
		p.InfraCommand = flags.InfraCommand
	}
	p.Resources.Merge(flags.Resources)
	overSecurity(&p.Security, &flags.Security)
	for _, m := range flags.Storage.Mounts {
		p.Storage.Mounts = slices.DeleteFunc(p.Storage.Mounts, func(old specgen.Mount) bool { return old.Destination == m.Destination })
		p.Storage.Mounts = append(p.Storage.Mounts, m)
	}
	p.Storage.VolumesFrom = slices.Concat(p.Storage.VolumesFrom, flags.Storage.VolumesFrom)
	return nil
}

func overSecurity(to, from *specgen.Security) {
	to.NoNewPrivileges = to.NoNewPrivileges || from.NoNewPrivileges
	if from.Seccomp != "" {
		to.Seccomp = from.Seccomp
	}
	if from.AppArmor != "" {
		to.AppArmor = from.AppArmor
	}
	if len(from.Label) > 0 {
		to.Label = from.Label
	}
	for name, value := range from.Sysctl {
		put(&to.Sysctl, name, value)
	}
	to.Devices = slices.Concat(to.Devices, from.Devices)
	to.CDI, to.GPUs = slices.Concat(to.CDI, from.CDI), slices.Concat(to.GPUs, from.GPUs)
}
