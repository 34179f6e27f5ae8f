package quadlet

import (
	"encoding/csv"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// imageName is an image's name, or that of what a .image or .build file makes.
func (c *conversion) imageName(v unitfile.Value) string {
	if ext := filepath.Ext(v.Text); ext != ".image" && ext != ".build" {
		return v.Text
	}
	u, ok := c.reference(v, v.Text)
	if !ok {
		return ""
	}
	c.require(u)
	return u.resource
}

// warnShortName tells of an image whose registry depends on the machine's settings.
func (c *conversion) warnShortName(v unitfile.Value) {
	name := v.Text
	if ext := filepath.Ext(name); ext == ".image" || ext == ".build" || strings.HasPrefix(name, "sha256:") || isID(name) {
		return
	}
	domain, _, hasPath := strings.Cut(name, "/")
	if !hasPath || domain != "localhost" && !strings.ContainsAny(domain, ".:") {
		c.warn(v.Pos, "%s is not a fully qualified image name: name the registry too, as docker.io/library/%s", name, name)
	}
}

func isID(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdefABCDEF") == ""
}

func (c *conversion) networks(k Key) {
	for _, v := range c.own(k.Name) {
		network := unitfile.Unwrap(v.Text)
		name, options, hasOptions := strings.Cut(network, ":")
		ext := filepath.Ext(name)
		if ext != ".network" && ext != ".container" {
			c.cmd.add(k.Flag, network)
			continue
		}
		u, ok := c.reference(v, name)
		switch {
		case !ok:
			continue
		case ext == ".container" && hasOptions:
			c.fail(v.Pos, "%s=%s: the network of another container takes no options", k.Name, short(network))
			continue
		case ext == ".container":
			network = "container:" + u.resource
		case hasOptions:
			network = u.resource + ":" + options
		default:
			network = u.resource
		}
		c.require(u)
		c.cmd.add(k.Flag, network)
	}
}

// source is where a mount comes from: a path, what a Quadlet file makes, or a name.
func (c *conversion) source(v unitfile.Value, source string, exts ...string) string {
	if strings.HasPrefix(source, ".") {
		source = c.path(source)
	}
	switch {
	case strings.HasPrefix(source, "/"):
		c.mountsFor(source)
	case slices.Contains(exts, filepath.Ext(source)):
		u, ok := c.reference(v, source)
		if !ok {
			return ""
		}
		c.require(u)
		return u.resource
	}
	return source
}

func (c *conversion) volumes(k Key) {
	for _, v := range c.own(k.Name) {
		volume := unitfile.Unwrap(v.Text)
		source, rest, named := strings.Cut(volume, ":")
		if named && source != "" {
			volume = c.source(v, source, ".volume") + ":" + rest
		} else if named {
			c.fail(v.Pos, "%s=%s: nothing stands before ':'", k.Name, short(volume))
		}
		c.cmd.add(k.Flag, volume)
	}
}

// mounts passes mounts on; their type comes first, and names of files are resolved.
func (c *conversion) mounts(k Key) {
	for _, v := range c.own(k.Name) {
		for _, mount := range c.words(v, unitfile.Unescape) {
			c.mount(k, v, mount)
		}
	}
}

func (c *conversion) mount(k Key, v unitfile.Value, mount string) {
	fields, err := csv.NewReader(strings.NewReader(mount)).Read()
	if err != nil {
		c.fail(v.Pos, "%s=%s: options with commas between them are expected: %v", k.Name, short(mount), err)
		return
	}
	kind, at := "volume", -1
	rest := []string{""}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "type":
			kind = value
			continue
		case "source", "src":
			at = len(rest)
		}
		rest = append(rest, field)
	}
	if !slices.Contains([]string{"volume", "bind", "glob", "image", "artifact"}, kind) {
		c.cmd.add(k.Flag, mount)
		return
	}
	if at >= 0 {
		_, source, _ := strings.Cut(rest[at], "=")
		if source == "" {
			c.fail(v.Pos, "%s=%s: the source is empty", k.Name, short(mount))
			return
		}
		rest[at] = "source=" + c.source(v, source, ".volume", ".image", ".build", ".artifact")
	}
	rest[0] = "type=" + kind
	var line strings.Builder
	w := csv.NewWriter(&line)
	_ = w.Write(rest) // to memory
	w.Flush()
	c.cmd.add(k.Flag, strings.TrimSuffix(line.String(), "\n"))
}

// joinPod makes the container one of a pod, which starts it.
func (c *conversion) joinPod(k Key) {
	v, ok := c.last(k.Name)
	if !ok {
		return
	}
	if filepath.Ext(v.Text) != ".pod" {
		c.fail(v.Pos, "Pod=%s: the name of a .pod file is expected", short(v.Text))
		return
	}
	u, ok := c.reference(v, v.Text)
	if !ok {
		return
	}
	c.cmd.add(k.Flag, u.resource)
	c.out.Add("Unit", "BindsTo", u.Service)
	c.out.Add("Unit", "After", u.Service)
	start, set := c.boolean("StartWithPod")
	if (start || !set) && !c.unit.isTemplate() {
		c.pod = u
	}
}

// userNamespace is UserNS, or what the keys before it were called.
func (c *conversion) userNamespace(k Key) {
	mapped := false
	for _, name := range []string{"UserNS", "UIDMap", "GIDMap", "SubUIDMap", "SubGIDMap"} {
		mapped = mapped || len(c.own(name)) > 0
	}
	for _, name := range []string{"RemapUsers", "RemapUid", "RemapGid"} {
		if v, ok := c.last(name); ok && mapped {
			c.fail(v.Pos, "%s and a key that it was replaced by (UserNS, UIDMap, GIDMap, SubUIDMap, SubGIDMap) are both set", name)
			return
		}
	}
	if v, ok := c.last(k.Name); ok {
		c.cmd.add(k.Flag, v.Text)
	}
	if !mapped {
		c.remap()
	}
}

// remap is RemapUsers, with RemapUid, RemapGid and RemapUidSize.
func (c *conversion) remap() {
	var uids, gids []string
	for _, v := range c.own("RemapUid") {
		uids = append(uids, c.words(v, unitfile.Keep)...)
	}
	for _, v := range c.own("RemapGid") {
		gids = append(gids, c.words(v, unitfile.Keep)...)
	}
	size, hasSize := c.last("RemapUidSize")
	if hasSize && !c.valid(Key{Name: "RemapUidSize", Type: Count}, size) {
		return
	}
	v, ok := c.last("RemapUsers")
	if !ok {
		for _, name := range []string{"RemapUid", "RemapGid"} {
			if v, ok := c.last(name); ok {
				c.fail(v.Pos, "%s is set without RemapUsers: use UserNS, UIDMap and GIDMap", name)
			}
		}
		return
	}
	var options []string
	each := func(prefix string, ids []string) {
		for _, id := range ids {
			options = append(options, prefix+id)
		}
	}
	switch v.Text {
	case "manual":
		for _, id := range uids {
			c.cmd.add("--uidmap", id)
		}
		for _, id := range gids {
			c.cmd.add("--gidmap", id)
		}
		return
	case "auto":
		each("uidmapping=", uids)
		each("gidmapping=", gids)
		if hasSize && size.Text != "0" {
			options = append(options, "size="+size.Text)
		}
	case "keep-id":
		if len(uids) > 1 || len(gids) > 1 {
			c.fail(v.Pos, "RemapUsers=keep-id takes one RemapUid and one RemapGid")
		}
		each("uid=", uids)
		each("gid=", gids)
	default:
		c.fail(v.Pos, "RemapUsers=%s: manual, auto or keep-id is expected", short(v.Text))
	}
	ns := v.Text
	if len(options) > 0 {
		ns += ":" + strings.Join(options, ",")
	}
	c.cmd.add("--userns", ns)
}
