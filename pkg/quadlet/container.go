package quadlet

import (
	"os"
	"regexp"
	"strings"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// autoUpdateLabel tells auto-update where an image's newer version comes from.
const autoUpdateLabel = "io.containers.autoupdate"

func containerKind() *kind {
	keys := []Key{
		elsewhere("Image", "", "the image, or a .image or .build file"),
		elsewhere("Rootfs", "--rootfs", "a directory in the place of an image"),
		elsewhere("Exec", "", "the arguments behind the image; of several lines the last counts"),
		elsewhere("ContainerName", "--name", "systemd-%N by default, systemd-%p_%i for instances"),
		elsewhere("ReloadCmd", "", "ExecReload: `exec` of these words"),
		elsewhere("ReloadSignal", "--signal", "ExecReload: `kill` with that signal"),
		elsewhere("StartWithPod", "", "false: the pod's service does not start this one; true by default"),
		once("LogDriver", "--log-driver"),
		words("LogOpt", "--log-opt"),
		special("CgroupsMode", "--cgroups", "split by default", (*conversion).cgroups),
		once("Timezone", "--tz"),
		number("PidsLimit", "--pids-limit"),
		once("ShmSize", "--shm-size"),
		once("Entrypoint", "--entrypoint"),
		once("WorkingDir", "--workdir"),
		once("IP", "--ip"),
		once("IP6", "--ip6"),
		once("HostName", "--hostname"),
		once("StopSignal", "--stop-signal"),
		number("StopTimeout", "--stop-timeout"),
		once("Pull", "--pull"),
		once("Memory", "--memory"),
		count("Retry", "--retry"),
		duration("RetryDelay", "--retry-delay"),
		lines("NetworkAlias", "--network-alias"),
		lines("Ulimit", "--ulimit"),
		lines("DNS", "--dns"),
		lines("DNSOption", "--dns-option"),
		lines("DNSSearch", "--dns-search"),
		lines("GroupAdd", "--group-add"),
		lines("AddHost", "--add-host"),
		lines("Tmpfs", "--tmpfs"),
		boolean("RunInit", "--init"),
		boolean("EnvironmentHost", "--env-host"),
		boolean("ReadOnlyTmpfs", "--read-only-tmpfs"),
		boolean("HttpProxy", "--http-proxy"),
		special("Network", "--network", "a name, a .network file (with options behind a colon), or a .container file", (*conversion).networks),
		special("Notify", "--sdnotify", "true: the container sends it; healthy: when it is; false by default: when it runs", (*conversion).notify),
		special("NoNewPrivileges", "--security-opt", "", (*conversion).noNewPrivileges),
		{Name: "SecurityLabelDisable", Flag: "--security-opt", Prefix: "label=disable", How: Switch},
		{Name: "SecurityLabelNested", Flag: "--security-opt", Prefix: "label=nested", How: Switch},
		{Name: "SecurityLabelType", Flag: "--security-opt", Prefix: "label=type:", How: Once},
		{Name: "SecurityLabelFileType", Flag: "--security-opt", Prefix: "label=filetype:", How: Once},
		{Name: "SecurityLabelLevel", Flag: "--security-opt", Prefix: "label=level:", How: Once},
		{Name: "AppArmor", Flag: "--security-opt", Prefix: "apparmor=", How: Once},
		special("AddDevice", "--device", "each word one; one with a dash before it only if it exists when systemd reads the file", (*conversion).devices),
		{Name: "SeccompProfile", Flag: "--security-opt", Prefix: "seccomp=", How: Once},
		special("DropCapability", "--cap-drop", "each word one", (*conversion).capabilities),
		special("AddCapability", "--cap-add", "each word one", (*conversion).capabilities),
		words("Sysctl", "--sysctl"),
		boolean("ReadOnly", "--read-only"),
		special("VolatileTmp", "--tmpfs", "true: /tmp is one, unless ReadOnly", (*conversion).volatileTmp),
		special("User", "--user", "", (*conversion).user),
		elsewhere("Group", "--user", "the group behind User's colon"),
	}
	keys = append(keys, userNamespaceKeys((*conversion).userNamespace)...)
	keys = append(keys,
		special("Volume", "--volume", "[SOURCE:]PATH[:OPTIONS]; SOURCE may be a .volume file or begin with a dot", (*conversion).volumes),
		Key{Name: "AutoUpdate", Flag: "--label", Prefix: autoUpdateLabel + "=", How: Once, Doc: "registry or local"},
		special("ExposeHostPort", "--expose", "each line one", (*conversion).exposed),
		lines("PublishPort", "--publish"),
		pairs("Environment", "--env"),
		pairs("Label", "--label"),
		pairs("Annotation", "--annotation"),
		Key{Name: "Mask", Flag: "--security-opt", Prefix: "mask=", How: Args},
		Key{Name: "Unmask", Flag: "--security-opt", Prefix: "unmask=", How: Args},
		special("EnvironmentFile", "--env-file", "each word one; relative to the file", (*conversion).environmentFiles),
		args("Secret", "--secret"),
		special("Mount", "--mount", "each word one; its source may be a .volume or .image file or begin with a dot", (*conversion).mounts),
	)
	keys = append(keys, healthKeys()...)
	keys = append(keys, special("Pod", "--pod", "a .pod file", (*conversion).joinPod))
	return &kind{
		ext: ".container", section: "Container", order: 4, command: "run", keys: keys,
		required: []string{"Image or Rootfs"},
		resource: func(u *Unit) string { return containerName(u) },
		convert:  (*conversion).container,
	}
}

func healthKeys() []Key {
	return []Key{
		once("HealthCmd", "--health-cmd"),
		duration("HealthInterval", "--health-interval"),
		{Name: "HealthOnFailure", Flag: "--health-on-failure", How: Once, Values: []string{"none", "kill", "restart", "stop"}},
		once("HealthLogDestination", "--health-log-destination"),
		count("HealthMaxLogCount", "--health-max-log-count"),
		count("HealthMaxLogSize", "--health-max-log-size"),
		count("HealthRetries", "--health-retries"),
		duration("HealthStartPeriod", "--health-start-period"),
		duration("HealthTimeout", "--health-timeout"),
		once("HealthStartupCmd", "--health-startup-cmd"),
		duration("HealthStartupInterval", "--health-startup-interval"),
		count("HealthStartupRetries", "--health-startup-retries"),
		count("HealthStartupSuccess", "--health-startup-success"),
		duration("HealthStartupTimeout", "--health-startup-timeout"),
	}
}

// containerName is the container's name as it stands in the service.
func containerName(u *Unit) string {
	if v, ok := u.File.Get(u.kind.section, "ContainerName"); ok && v.Text != "" {
		return unitfile.Unwrap(v.Text)
	}
	if strings.Contains(u.Name, "@") {
		return "systemd-%p_%i"
	}
	return "systemd-%N"
}

func (c *conversion) container() {
	name := containerName(c.unit)
	image, hasImage := c.last("Image")
	rootfs, hasRootfs := c.last("Rootfs")
	switch {
	case hasImage && hasRootfs:
		c.fail(rootfs.Pos, "Image and Rootfs are both set: a container has one of them")
	case !hasImage && !hasRootfs:
		c.fail(c.header(), "there is neither Image nor Rootfs in [Container]")
	case hasImage:
		c.warnShortName(image)
	}
	c.common()
	c.out.Add("Service", "Environment", "PODMAN_SYSTEMD_UNIT=%n")
	// mixed lets conmon see the container's end and clean up.
	if _, ok := c.oneOf("KillMode", "mixed", "control-group"); !ok {
		c.out.Set("Service", "KillMode", "mixed")
	}
	remove := c.newCommand("rm", "-v", "-f", "-i", name)
	c.exec("ExecStop", remove)
	// systemd does not run ExecStop when the main process, conmon, was killed.
	c.exec("-ExecStopPost", remove)
	c.reload(name)
	c.out.Add("Service", "Delegate", "yes")
	serviceType, _ := c.oneOf("Type", "notify", "oneshot")
	if serviceType != "oneshot" {
		c.out.Set("Service", "Type", "notify")
		c.out.Set("Service", "NotifyAccess", "all")
	}
	c.byDefault("SyslogIdentifier", "%N")

	c.cmd = c.newCommand("run", "--name", name, "--replace", "--rm")
	c.options()
	if hasRootfs {
		c.cmd.add("--rootfs", rootfs.Text)
	} else if hasImage {
		c.cmd.add(c.imageName(image))
	}
	if v, ok := c.unit.File.Get("Container", "Exec"); ok {
		c.cmd.add(c.words(v, unitfile.Unescape)...)
	}
	c.exec("ExecStart", c.cmd)
}

func (c *conversion) reload(name string) {
	_, hasCommand := c.last("ReloadCmd")
	signal, hasSignal := c.last("ReloadSignal")
	switch {
	case hasCommand && hasSignal:
		c.fail(signal.Pos, "ReloadCmd and ReloadSignal are both set: a service is reloaded in one way")
	case hasCommand:
		v, _ := c.unit.File.Get("Container", "ReloadCmd")
		cmd := c.newCommand("exec", name)
		cmd.add(c.words(v, unitfile.Unescape)...)
		c.exec("ExecReload", cmd)
	case hasSignal:
		c.exec("ExecReload", c.newCommand("kill", "--signal", signal.Text, name))
	}
}

func (c *conversion) cgroups(k Key) {
	if v, ok := c.last(k.Name); ok {
		c.cmd.add(k.Flag, v.Text)
		return
	}
	c.cmd.add("--cgroups=split")
}

func (c *conversion) notify(k Key) {
	if v, ok := c.unit.File.Get("Service", "Type"); ok && v.Text == "oneshot" {
		return
	}
	who := "conmon"
	if v, ok := c.last(k.Name); ok {
		on, valid := unitfile.Bool(v.Text)
		switch {
		case strings.EqualFold(v.Text, "healthy"):
			who = "healthy"
		case !valid:
			c.fail(v.Pos, "Notify=%s: true, false or healthy is expected", short(v.Text))
		case on:
			who = "container"
		}
	}
	// No process of pod's stays beside the container; conmon is the service's.
	c.cmd.add("--sdnotify="+who, "-d")
}

func (c *conversion) noNewPrivileges(k Key) {
	if c.isTrue(k.Name) {
		c.cmd.add("--security-opt=no-new-privileges")
	}
}

func (c *conversion) devices(k Key) {
	for _, v := range c.own(k.Name) {
		for _, device := range c.words(v, unitfile.Keep) {
			if optional, ok := strings.CutPrefix(device, "-"); ok {
				host, _, _ := strings.Cut(optional, ":")
				if _, err := os.Stat(host); err != nil {
					continue
				}
				device = optional
			}
			c.cmd.add(k.Flag, device)
		}
	}
}

func (c *conversion) capabilities(k Key) {
	for _, v := range c.own(k.Name) {
		for _, name := range c.words(v, unitfile.Keep) {
			c.cmd.add(k.Flag, strings.ToLower(name))
		}
	}
}

func (c *conversion) volatileTmp(k Key) {
	if c.isTrue(k.Name) && !c.isTrue("ReadOnly") {
		c.cmd.add(k.Flag, "/tmp:rw,size=512M,mode=1777")
	}
}

func (c *conversion) user(k Key) {
	user, hasUser := c.last("User")
	group, hasGroup := c.last("Group")
	switch {
	case hasUser && hasGroup:
		c.cmd.add(k.Flag, user.Text+":"+group.Text)
	case hasUser:
		c.cmd.add(k.Flag, user.Text)
	case hasGroup:
		c.fail(group.Pos, "Group is set without User: set both, as User=0 and Group=%s", short(group.Text))
	}
}

func (c *conversion) exposed(k Key) {
	port := regexp.MustCompile(`^\d+(-\d+)?(/(udp|tcp|sctp))?$`)
	for _, v := range c.own(k.Name) {
		if !port.MatchString(v.Text) && !strings.Contains(v.Text, "%") {
			c.fail(v.Pos, "%s=%s: a port is expected, as 80, 80-90 or 53/udp", k.Name, short(v.Text))
		}
		c.cmd.add(k.Flag, v.Text)
	}
}

func (c *conversion) environmentFiles(k Key) {
	for _, v := range c.own(k.Name) {
		for _, file := range c.words(v, unitfile.Unescape) {
			c.cmd.add(k.Flag, c.path(file))
		}
	}
}
