package specgen

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Secret is one --secret: a secret of the store, as a file or as a variable.
type Secret struct {
	// Name is the secret's name, or a unique beginning of its id; ID is filled in
	// when the container is made.
	Name string `json:"name"`
	ID   string `json:"id,omitempty"`
	// Env makes it the variable Target instead of a file.
	Env bool `json:"env,omitempty"`
	// Target is a path, below /run/secrets if it is relative; empty is the name.
	Target string `json:"target,omitempty"`
	// UID, GID and Mode are the file's, in the container.
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	Mode uint32 `json:"mode"`
}

// defaultSecretMode is that of a secret's file.
const defaultSecretMode = 0o444

// ParseSecret reads NAME[,type=mount|env][,target=T][,uid=N][,gid=N][,mode=M].
func ParseSecret(s string) (Secret, error) {
	words := strings.Split(s, ",")
	secret := Secret{Mode: defaultSecretMode}
	if !strings.Contains(words[0], "=") {
		secret.Name, words = words[0], words[1:]
	}
	mountOnly := ""
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return secret, fmt.Errorf("secret %q: option %s must be in form option=value", s, w)
		}
		switch key {
		case "source":
			secret.Name = value
		case "type":
			if value != "mount" && value != "env" {
				return secret, fmt.Errorf("secret %q: type %s is invalid: it must be mount or env", s, value)
			}
			secret.Env = value == "env"
		case "target":
			secret.Target = value
		case "uid", "gid", "mode":
			base, to := 10, &secret.UID
			switch key {
			case "gid":
				to = &secret.GID
			case "mode":
				base, to = 8, &secret.Mode
			}
			n, err := strconv.ParseUint(value, base, 32)
			if err != nil || (key == "mode" && n > 0o7777) {
				return secret, fmt.Errorf("secret %q: %s %q is no number", s, key, value)
			}
			*to, mountOnly = uint32(n), key
		default:
			return secret, fmt.Errorf("secret %q: option %s invalid", s, key)
		}
	}
	if secret.Env && mountOnly != "" {
		return secret, fmt.Errorf("secret %q: %s is for secrets that are mounted", s, mountOnly)
	}
	return secret, secret.check()
}

// check tests a secret on its own.
func (s *Secret) check() error {
	target := s.Variable()
	switch {
	case s.Name == "" || hasControl(s.Name):
		return fmt.Errorf("no secret name provided: %q", s.Name)
	case s.Env && (hasControl(target) || strings.Contains(target, "=")):
		return fmt.Errorf("secret %s: %q is no name of a variable", s.Name, target)
	case !s.Env && (hasControl(target) || slices.Contains(strings.Split(target, "/"), "..") || path.Clean(target) == "/"):
		return fmt.Errorf("secret %s: target %q must be a path without .. in it", s.Name, target)
	}
	return nil
}

// Variable is the variable of a secret of type env.
func (s *Secret) Variable() string {
	if s.Target == "" {
		return s.Name
	}
	return s.Target
}

// Path is where a secret of type mount is in the container.
func (s *Secret) Path() string {
	if path.IsAbs(s.Target) {
		return path.Clean(s.Target)
	}
	return path.Join("/run/secrets", s.Variable())
}

// Accounts are what is added to the container's account files.
type Accounts struct {
	// Passwd false adds nothing (nil: yes). By default the container's user gets
	// an entry if he has none.
	Passwd *bool `json:"passwd,omitempty"`
	// PasswdEntry and GroupEntry replace that entry. $USERNAME, $UID, $GID, $NAME
	// and $HOME are filled in; $GROUPNAME, $GID and $USERLIST.
	PasswdEntry string `json:"passwd_entry,omitempty"`
	GroupEntry  string `json:"group_entry,omitempty"`
	// HostUsers are users of the host, by name or id, to add.
	HostUsers []string `json:"host_users,omitempty"`
}

func (a *Accounts) validate() error {
	for _, e := range []struct {
		flag, entry string
		fields      int
	}{{"--passwd-entry", a.PasswdEntry, 7}, {"--group-entry", a.GroupEntry, 4}} {
		if e.entry == "" {
			continue
		}
		if hasControl(strings.TrimSuffix(e.entry, "\n")) || strings.Count(e.entry, ":") != e.fields-1 {
			return fmt.Errorf("%s %q must be one line of %d fields", e.flag, e.entry, e.fields)
		}
	}
	for _, u := range a.HostUsers {
		if u == "" || strings.Contains(u, ":") || hasControl(u) {
			return fmt.Errorf("invalid user %q for --hostuser", u)
		}
	}
	return nil
}

// Added says whether entries are added at all.
func (a *Accounts) Added() bool { return a.Passwd == nil || *a.Passwd }

// validateExtra tests what belongs to the container as a whole.
func (c *Container) validateExtra() error {
	if err := c.Accounts.validate(); err != nil {
		return err
	}
	taken := map[string]bool{}
	for i := range c.Secrets {
		s := &c.Secrets[i]
		if err := s.check(); err != nil {
			return err
		}
		at := s.Path()
		if s.Env {
			at = s.Variable() + "="
		}
		if taken[at] {
			return fmt.Errorf("secret %s: %s is used twice", s.Name, strings.TrimSuffix(at, "="))
		}
		taken[at] = true
	}
	switch c.SDNotify {
	case "", "container", "conmon", "healthy", "ignore":
	default:
		return fmt.Errorf("invalid --sdnotify %q: it must be container, conmon, healthy or ignore", c.SDNotify)
	}
	switch c.Process.Systemd {
	case "", "true", "false", "always":
	default:
		return fmt.Errorf("invalid --systemd %q: it must be true, false or always", c.Process.Systemd)
	}
	switch c.Process.Personality {
	case "", "LINUX", "LINUX32":
	default:
		return fmt.Errorf("invalid --personality %q: it must be LINUX or LINUX32", c.Process.Personality)
	}
	for _, r := range c.Requires {
		if r == "" || hasControl(r) {
			return fmt.Errorf("invalid container %q for --requires", r)
		}
	}
	for _, dir := range c.Storage.ChrootDirs {
		if !path.IsAbs(dir) || hasControl(dir) || slices.Contains(strings.Split(dir, "/"), "..") {
			return fmt.Errorf("--chrootdirs %q must be an absolute path without .. in it", dir)
		}
	}
	for _, e := range c.Process.EnvMerge {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" || strings.ContainsRune(e, 0) {
			return fmt.Errorf("invalid environment variable %q for --env-merge: it must be NAME=VALUE", e)
		}
	}
	if c.Resources.RDTClass != "" && (hasControl(c.Resources.RDTClass) || strings.Contains(c.Resources.RDTClass, "/")) {
		return fmt.Errorf("invalid --rdt-class %q", c.Resources.RDTClass)
	}
	if c.Resources.ShmSizeSystemd < 0 {
		return errors.New("--shm-size-systemd must not be negative")
	}
	if c.RemoveImage && !c.Remove {
		return errors.New("--rmi removes the container too: it cannot be used with --rm=false")
	}
	return c.Spaces.validateMaps()
}

// Mapped says whether the maps of the user namespace are given one by one.
func (s *Spaces) Mapped() bool {
	return len(s.UIDMap)+len(s.GIDMap) > 0 || s.SubUIDName != "" || s.SubGIDName != ""
}

func (s *Spaces) validateMaps() error {
	if !s.Mapped() {
		if s.User == "private" {
			return errors.New("must provide at least one UID or GID mapping to configure a user namespace")
		}
		return nil
	}
	if s.User != "" && s.User != "private" {
		return errors.New("--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive")
	}
	if (len(s.UIDMap) > 0 && s.SubUIDName != "") || (len(s.GIDMap) > 0 && s.SubGIDName != "") {
		return errors.New("--uidmap and --subuidname exclude each other, as do --gidmap and --subgidname")
	}
	for _, m := range []struct {
		kind string
		maps []string
	}{{"UID", s.UIDMap}, {"GID", s.GIDMap}} {
		for _, word := range m.maps {
			if _, err := parseIDRule(m.kind, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// systemdPrograms are what --systemd=true takes for systemd.
func isSystemd(command []string) bool {
	if len(command) == 0 {
		return false
	}
	switch command[0] {
	case "/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init":
		return true
	}
	return path.Base(command[0]) == "systemd"
}

// SystemdMode says whether the container is set up for systemd. It holds for a
// description to which the image was applied.
func (c *Container) SystemdMode() bool {
	switch c.Process.Systemd {
	case "always":
		return true
	case "false":
		return false
	}
	return isSystemd(slices.Concat(c.Process.Entrypoint, c.Process.Command))
}
