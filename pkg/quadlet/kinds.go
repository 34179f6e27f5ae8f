package quadlet

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

func imageKind() *kind {
	return &kind{
		ext: ".image", section: "Image", suffix: "-image", order: 1, command: "image pull", required: []string{"Image"},
		keys: []Key{
			elsewhere("Image", "", "the image's name"),
			elsewhere("ImageTag", "", "the name by which other files' Image finds it"),
			once("Arch", "--arch"),
			once("AuthFile", "--authfile"),
			once("CertDir", "--cert-dir"),
			once("Creds", "--creds"),
			once("DecryptionKey", "--decryption-key"),
			once("OS", "--os"),
			once("Policy", "--policy"),
			once("Variant", "--variant"),
			count("Retry", "--retry"),
			duration("RetryDelay", "--retry-delay"),
			boolean("AllTags", "--all-tags"),
			boolean("TLSVerify", "--tls-verify"),
		},
		resource: func(u *Unit) string {
			if v, ok := u.File.Get("Image", "ImageTag"); ok && v.Text != "" {
				return unitfile.Unwrap(v.Text)
			}
			v, _ := u.File.Get("Image", "Image")
			return unitfile.Unwrap(v.Text)
		},
		convert: func(c *conversion) {
			image, ok := c.last("Image")
			if !ok {
				c.fail(c.header(), "there is no Image in [Image]")
			} else {
				c.warnShortName(image)
			}
			c.makes([]string{"image", "pull"}, image.Text)
		},
	}
}

func artifactKind() *kind {
	return &kind{
		ext: ".artifact", section: "Artifact", suffix: "-artifact", order: 1, command: "artifact pull", required: []string{"Artifact"},
		keys: []Key{
			elsewhere("Artifact", "", "the artifact's name"),
			once("AuthFile", "--authfile"),
			once("CertDir", "--cert-dir"),
			once("Creds", "--creds"),
			once("DecryptionKey", "--decryption-key"),
			count("Retry", "--retry"),
			duration("RetryDelay", "--retry-delay"),
			boolean("Quiet", "--quiet"),
			boolean("TLSVerify", "--tls-verify"),
		},
		resource: func(u *Unit) string {
			v, _ := u.File.Get("Artifact", "Artifact")
			return unitfile.Unwrap(v.Text)
		},
		convert: func(c *conversion) {
			artifact, ok := c.last("Artifact")
			if !ok {
				c.fail(c.header(), "there is no Artifact in [Artifact]")
			}
			c.makes([]string{"artifact", "pull"}, artifact.Text)
		},
	}
}

// makes is the service that runs one command, with the section's options and a name.
func (c *conversion) makes(verb []string, name string) {
	c.common()
	c.cmd = c.newCommand(verb...)
	c.options()
	c.cmd.add(name)
	c.exec("ExecStart", c.cmd)
	c.oneshot(true)
}

func volumeKind() *kind {
	return &kind{
		ext: ".volume", section: "Volume", suffix: "-volume", order: 2, command: "volume create",
		keys: []Key{
			once("Driver", "--driver"),
			special("Copy", "--opt", "copy, or nocopy if false", (*conversion).copyOption),
			special("Device", "--opt", "device=", (*conversion).device),
			elsewhere("Type", "--opt", "type=; needs Device"),
			elsewhere("Options", "--opt", "o=; needs Device"),
			special("User", "--opt", "o=uid=, a number", (*conversion).volumeOptions),
			elsewhere("Group", "--opt", "o=gid=, a number"),
			special("Image", "--opt", "image=, for Driver=image; may be a .image or .build file", (*conversion).volumeImage),
			count("UID", "--uid"),
			count("GID", "--gid"),
			pairs("Label", "--label"),
			elsewhere("VolumeName", "", "systemd-NAME by default"),
		},
		resource: func(u *Unit) string { return u.nameOr("VolumeName") },
		convert: func(c *conversion) {
			c.makes([]string{"volume", "create", "--ignore"}, c.unit.nameOr("VolumeName"))
		},
	}
}

// ofImage says whether the volume is an image's content.
func (c *conversion) ofImage() bool {
	v, _ := c.last("Driver")
	return v.Text == "image"
}

func (c *conversion) copyOption(k Key) {
	if value, ok := c.boolean(k.Name); ok && !c.ofImage() {
		c.cmd.add(k.Flag, map[bool]string{true: "copy", false: "nocopy"}[value])
	}
}

func (c *conversion) device(k Key) {
	device, hasDevice := c.last("Device")
	kind, hasType := c.last("Type")
	switch {
	case c.ofImage():
	case hasDevice:
		c.cmd.add(k.Flag, "device="+device.Text)
		if hasType {
			c.cmd.add(k.Flag, "type="+kind.Text)
		}
		if kind.Text == "bind" {
			c.mountsFor(device.Text)
		}
	case hasType:
		c.fail(kind.Pos, "Type is set without Device: what is to be mounted?")
	}
}

func (c *conversion) volumeOptions(k Key) {
	if c.ofImage() {
		return
	}
	var options []string
	for _, id := range [][2]string{{"User", "uid="}, {"Group", "gid="}} {
		if v, ok := c.last(id[0]); ok && c.valid(Key{Name: id[0], Type: Count}, v) {
			options = append(options, id[1]+v.Text)
		}
	}
	if v, ok := c.last("Options"); ok {
		if !c.has("Device") {
			c.fail(v.Pos, "Options is set without Device: what is to be mounted?")
		}
		options = append(options, v.Text)
	}
	if len(options) > 0 {
		c.cmd.add(k.Flag, "o="+strings.Join(options, ","))
	}
}

func (c *conversion) volumeImage(k Key) {
	v, ok := c.last(k.Name)
	switch {
	case ok && c.ofImage():
		c.cmd.add(k.Flag, "image="+c.imageName(v))
	case c.ofImage():
		c.fail(c.header(), "there is no Image in [Volume], which Driver=image needs")
	case ok:
		c.warn(v.Pos, "Image is ignored without Driver=image")
	}
}

func networkKind() *kind {
	return &kind{
		ext: ".network", section: "Network", suffix: "-network", order: 2, command: "network create",
		keys: []Key{
			boolean("DisableDNS", "--disable-dns"),
			boolean("Internal", "--internal"),
			boolean("IPv6", "--ipv6"),
			once("Driver", "--driver"),
			once("IPAMDriver", "--ipam-driver"),
			once("InterfaceName", "--interface-name"),
			lines("DNS", "--dns"),
			special("Subnet", "--subnet", "each line one", (*conversion).subnets),
			elsewhere("Gateway", "--gateway", "the first line is the first Subnet's, and so on"),
			elsewhere("IPRange", "--ip-range", "the first line is the first Subnet's, and so on"),
			pairs("Options", "--opt"),
			pairs("Label", "--label"),
			elsewhere("NetworkName", "", "systemd-NAME by default"),
			elsewhere("NetworkDeleteOnStop", "", "true: ExecStopPost removes the network; false by default"),
		},
		resource: func(u *Unit) string { return u.nameOr("NetworkName") },
		convert: func(c *conversion) {
			name := c.unit.nameOr("NetworkName")
			if c.isTrue("NetworkDeleteOnStop") {
				c.exec("ExecStopPost", c.newCommand("network", "rm", name))
			}
			c.makes([]string{"network", "create", "--ignore"}, name)
		},
	}
}

func (c *conversion) subnets(k Key) {
	subnets, gateways, ranges := c.own("Subnet"), c.own("Gateway"), c.own("IPRange")
	for _, more := range [][]unitfile.Value{gateways, ranges} {
		if len(more) > len(subnets) {
			v := more[len(subnets)]
			c.fail(v.Pos, "%s=%s has no Subnet: each belongs to the Subnet of the same number", v.Key, short(v.Text))
		}
	}
	for i := range subnets {
		c.cmd.add(k.Flag, subnets[i].Text)
		if i < len(gateways) {
			c.cmd.add("--gateway", gateways[i].Text)
		}
		if i < len(ranges) {
			c.cmd.add("--ip-range", ranges[i].Text)
		}
	}
}

func podKind() *kind {
	keys := []Key{special("ExitPolicy", "--exit-policy", "continue or stop; stop by default", (*conversion).exitPolicy)}
	keys = append(keys, userNamespaceKeys((*conversion).userNamespace)...)
	keys = append(keys,
		lines("PublishPort", "--publish"),
		pairs("Label", "--label"),
		special("Network", "--network", "a name, a .network file (with options behind a colon), or a .container file", (*conversion).networks),
		once("IP", "--ip"),
		once("IP6", "--ip6"),
		once("ShmSize", "--shm-size"),
		lines("NetworkAlias", "--network-alias"),
		lines("DNS", "--dns"),
		lines("DNSOption", "--dns-option"),
		lines("DNSSearch", "--dns-search"),
		lines("AddHost", "--add-host"),
		lines("HostName", "--hostname"),
		special("Volume", "--volume", "[SOURCE:]PATH[:OPTIONS]; SOURCE may be a .volume file or begin with a dot", (*conversion).volumes),
		elsewhere("PodName", "--name", "systemd-NAME by default"),
		elsewhere("StopTimeout", "--time", "of `pod stop`; 10 by default"),
	)
	return &kind{
		ext: ".pod", section: "Pod", suffix: "-pod", order: 5, command: "pod create", keys: keys,
		resource: func(u *Unit) string { return u.nameOr("PodName") },
		convert:  (*conversion).makePod,
	}
}

func (c *conversion) exitPolicy(k Key) {
	k.Values = []string{"continue", "stop"}
	policy := "stop"
	if v, ok := c.last(k.Name); ok && c.valid(k, v) {
		policy = v.Text
	}
	c.cmd.add(k.Flag, policy)
}

func (c *conversion) makePod() {
	name := c.unit.nameOr("PodName")
	timeout := "10"
	if v, ok := c.last("StopTimeout"); ok && c.valid(Key{Name: "StopTimeout", Type: Number}, v) {
		timeout = v.Text
	}
	for _, service := range c.unit.starts {
		c.out.Add("Unit", "Wants", service)
		c.out.Add("Unit", "Before", service)
	}
	c.common()
	c.byDefault("SyslogIdentifier", "%N")
	c.exec("ExecStart", c.newCommand("pod", "start", name))
	c.exec("ExecStop", c.newCommand("pod", "stop", "--ignore", "--time="+timeout, name))
	c.exec("ExecStopPost", c.newCommand("pod", "rm", "--ignore", "--force", name))
	c.cmd = c.newCommand("pod", "create", "--infra-conmon-pidfile=%t/%N.pid", "--replace")
	c.options("--infra-name", name+"-infra", "--name", name)
	c.exec("ExecStartPre", c.cmd)
	c.out.Add("Service", "Environment", "PODMAN_SYSTEMD_UNIT=%n")
	// The infra container's monitor is the service's main process.
	c.out.Set("Service", "Type", "forking")
	c.out.Set("Service", "PIDFile", "%t/%N.pid")
	c.byDefault("Restart", "on-failure")
}

func buildKind() *kind {
	return &kind{
		ext: ".build", section: "Build", suffix: "-build", order: 3, command: "build",
		required: []string{"ImageTag", "File, SetWorkingDirectory or WorkingDirectory in [Service]"},
		keys: []Key{
			special("Pull", "--pull", "", (*conversion).pull),
			once("Arch", "--arch"),
			once("AuthFile", "--authfile"),
			once("Target", "--target"),
			once("Variant", "--variant"),
			count("Retry", "--retry"),
			duration("RetryDelay", "--retry-delay"),
			once("IgnoreFile", "--ignorefile"),
			boolean("TLSVerify", "--tls-verify"),
			boolean("ForceRM", "--force-rm"),
			lines("DNS", "--dns"),
			lines("DNSOption", "--dns-option"),
			lines("DNSSearch", "--dns-search"),
			lines("GroupAdd", "--group-add"),
			lines("ImageTag", "--tag"),
			pairs("BuildArg", "--build-arg"),
			pairs("Environment", "--env"),
			pairs("Label", "--label"),
			pairs("Annotation", "--annotation"),
			special("Network", "--network", "a name, a .network file, or a .container file", (*conversion).networks),
			args("Secret", "--secret"),
			special("Volume", "--volume", "SOURCE:PATH[:OPTIONS]; SOURCE may be a .volume file or begin with a dot", (*conversion).volumes),
			once("File", "--file"),
			elsewhere("SetWorkingDirectory", "", "the context: a path, a URL, file (where File is) or unit (where this file is)"),
		},
		resource: func(u *Unit) string {
			if tags := u.File.All("Build", "ImageTag"); len(tags) > 0 {
				return unitfile.Unwrap(tags[0].Text)
			}
			return ""
		},
		convert: (*conversion).build,
	}
}

func (c *conversion) pull(k Key) {
	if v, ok := c.last(k.Name); ok {
		c.cmd.add(k.Flag + "=" + v.Text) // its value is optional, so must not stand apart
	}
}

func (c *conversion) build() {
	if len(c.own("ImageTag")) == 0 {
		c.fail(c.header(), "there is no ImageTag in [Build]")
	}
	c.common()
	context := c.context()
	c.cmd = c.newCommand("build")
	c.options()
	if context != "" {
		c.cmd.add(context)
	}
	c.exec("ExecStart", c.cmd)
	c.oneshot(false)
}

// context is the build's argument, and sets the directory that relative paths start in.
func (c *conversion) context() string {
	service, _ := c.unit.File.Get("Service", "WorkingDirectory")
	file, hasFile := c.last("File")
	set, ok := c.last("SetWorkingDirectory")
	unitDir := doubled(filepath.Dir(c.unit.Path))
	dir, context := service.Text, ""
	switch value := strings.ToLower(set.Text); {
	case !ok && service.Text == "" && !hasFile:
		c.fail(c.header(), "there is neither File nor SetWorkingDirectory in [Build]: set one of them")
	case !ok:
	case value == "file" && !hasFile:
		c.fail(set.Pos, "SetWorkingDirectory=file is set without File")
	case value == "file" && dir == "":
		dir = filepath.Dir(c.path(file.Text))
	case value == "unit" && dir == "":
		dir = unitDir
	case value == "file" || value == "unit":
	case filepath.IsAbs(set.Text) || isURL(set.Text):
		context = set.Text
	default:
		context = set.Text
		if dir == "" {
			dir = unitDir
		}
	}
	if dir != "" && service.Text == "" {
		c.out.Set("Service", "WorkingDirectory", dir)
	}
	switch {
	case context != "" || hasFile && (filepath.IsAbs(file.Text) || isURL(file.Text)):
		return context
	case dir == "" && hasFile:
		c.fail(file.Pos, "File=%s: a relative path needs SetWorkingDirectory, for example SetWorkingDirectory=unit", short(file.Text))
	}
	return dir
}

// isURL says whether a context is one that build brings from elsewhere.
func isURL(text string) bool {
	for _, prefix := range []string{"http://", "https://", "git://", "github.com/"} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// kubeKind is known, so that its keys are, but makes no service yet.
func kubeKind() *kind {
	var keys []Key
	for name := range strings.FieldsSeq(`AutoUpdate ConfigMap ExitCodePropagation KubeDownForce LogDriver LogOpt Network PublishPort
		RemapGid RemapUid RemapUidSize RemapUsers SetWorkingDirectory UserNS Yaml`) {
		keys = append(keys, elsewhere(name, "", "not supported yet"))
	}
	return &kind{
		ext: ".kube", section: "Kube", order: 4, command: "kube play", keys: keys, required: []string{"Yaml"},
		resource: func(*Unit) string { return "" },
		convert: func(c *conversion) {
			c.fail(c.header(), "%s files are not supported yet: pod does not read Kubernetes YAML; write .container and .pod files", strconv.Quote(".kube"))
		},
	}
}
