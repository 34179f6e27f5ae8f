package flag

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// PreserveFDs adds --preserve-fd and --preserve-fds; the function gives the
// numbers asked for.
func PreserveFDs(fs *pflag.FlagSet) func() ([]uint, error) {
	list := fs.UintSlice("preserve-fd", nil, "Pass a list of additional file descriptors to the container")
	count := fs.Uint("preserve-fds", 0, "Pass a number of additional file descriptors into the container")
	return func() ([]uint, error) {
		if len(*list) > 0 && *count > 0 {
			return nil, errors.New("cannot specify both --preserve-fd and --preserve-fds")
		}
		fds := *list
		for i := range *count {
			fds = append(fds, 3+i)
		}
		for _, fd := range fds {
			if fd < 3 || fd > 1<<16 {
				return nil, fmt.Errorf("--preserve-fd %d: it must be from 3 up: the first three are the container's own streams", fd)
			}
		}
		return fds, nil
	}
}

// more registers the flags that belong to no larger topic.
func more(fs *pflag.FlagSet, c *specgen.Container, o *CreateOptions) {
	fs.StringSliceVar(&c.Requires, "requires", nil, "Add one or more requirement containers that must be started before this container will start")
	parsed(fs, "sdnotify", "container", "Control sd-notify behavior: container, conmon, healthy or ignore", func(s string) error {
		c.SDNotify = s
		return nil
	})
	each(fs, "secret", "", "Add secret to container: NAME[,type=mount|env][,target=…][,uid=N][,gid=N][,mode=M]", func(s string) error {
		secret, err := specgen.ParseSecret(s)
		c.Secrets = append(c.Secrets, secret)
		return err
	})
	fs.StringVar(&c.Accounts.PasswdEntry, "passwd-entry", "", "Entry to write to /etc/passwd for the container's user")
	fs.StringVar(&c.Accounts.GroupEntry, "group-entry", "", "Entry to write to /etc/group for the container's group")
	fs.StringSliceVar(&c.Accounts.HostUsers, "hostuser", nil, "Host user account to add to /etc/passwd within container")
	fs.StringArrayVar(&c.Process.EnvMerge, "env-merge", nil, "Preprocess environment variables from image before injecting them into the container")
	parsed(fs, "systemd", "true", "Run container in systemd mode: true, false or always", func(s string) error {
		if b, err := strconv.ParseBool(s); err == nil {
			s = strconv.FormatBool(b)
		}
		if c.Process.Systemd = strings.ToLower(s); c.Process.Systemd == "true" {
			c.Process.Systemd = ""
		}
		return nil
	})
	parsed(fs, "shm-size-systemd", "", "Size of systemd specific tmpfs mounts (/run, /run/lock, /tmp, /var/log/journal) (`<number>[<unit>]`)", size(&c.Resources.ShmSizeSystemd))
	fs.StringVar(&c.Process.Personality, "personality", "", "Configure execution domain using personality: LINUX or LINUX32")
	fs.StringVar(&c.Resources.RDTClass, "rdt-class", "", "Class of Service (COS) that the container should be assigned to")
	fs.StringArrayVar(&c.Storage.ChrootDirs, "chrootdirs", nil, "Chroot directories inside the container, which get its hosts, resolv.conf and hostname too")
	fs.StringVar(&c.Network.HostsFile, "hosts-file", "", "Base file to create the /etc/hosts file inside the container: PATH, image or none")
	userMaps(fs, &c.Spaces)
	parsed(fs, "seccomp-policy", "default", "Policy for selecting a seccomp profile: default", func(s string) error {
		switch s {
		case "default":
			return nil
		case "image":
			return errors.New("image is refused: what an image may do is not for the image to say; name a profile you trust with --security-opt seccomp=FILE")
		}
		return fmt.Errorf("%q must be default", s)
	})
	fs.StringArrayVar(&o.DecryptionKeys, "decryption-key", nil, "Key needed to decrypt the image: KEY[:PASSPHRASE]")
	ContentTrust(fs)
	fs.StringVar(&o.SignaturePolicy, "signature-policy", "", "`Pathname` of signature policy file")
	_ = fs.MarkHidden("signature-policy")
	fs.String("kernel-memory", "", "Kernels since 5.12 have no such limit, so this has no effect")
	_ = fs.MarkHidden("kernel-memory")
}

// ContentTrust adds --disable-content-trust, which scripts for docker give. There
// is nothing to disable: policy.json decides which signatures are needed.
func ContentTrust(fs *pflag.FlagSet) {
	fs.Bool("disable-content-trust", false, "Without effect: policy.json decides which signatures are needed")
}

func userMaps(fs *pflag.FlagSet, s *specgen.Spaces) {
	fs.StringSliceVar(&s.UIDMap, "uidmap", nil, "UID map to use for the user namespace: [+ug]INSIDE:[@]FROM[:AMOUNT]")
	fs.StringSliceVar(&s.GIDMap, "gidmap", nil, "GID map to use for the user namespace: [+ug]INSIDE:[@]FROM[:AMOUNT]")
	fs.StringVar(&s.SubUIDName, "subuidname", "", "Name of range listed in /etc/subuid for use in user namespace")
	fs.StringVar(&s.SubGIDName, "subgidname", "", "Name of range listed in /etc/subgid for use in user namespace")
}
