package flag

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// Host is what the flags may read of the host, because the user named it.
type Host struct {
	LookupEnv func(string) (string, bool)
	Environ   func() []string
	Open      func(string) (io.ReadCloser, error)
	// Abs makes a path absolute.
	Abs func(string) (string, error)
}

// ThisHost is the one that pod runs on.
func ThisHost() Host {
	return Host{
		LookupEnv: os.LookupEnv, Environ: os.Environ, Abs: filepath.Abs,
		Open: func(path string) (io.ReadCloser, error) { return os.Open(path) },
	}
}

// Finish completes c after parsing: args are the image and its command, files
// and variables named by flags are read, relative paths made absolute.
func (o *CreateOptions) Finish(c *specgen.Container, args []string, host Host) error {
	if len(args) == 0 {
		return errors.New("requires at least 1 arg(s), only received 0: name an image")
	}
	if err := o.target(c, args[0], host); err != nil {
		return err
	}
	if len(args) > 1 {
		c.Process.Command = slices.Clone(args[1:])
	}
	o.pointers(c)
	if err := o.pod(c, host); err != nil {
		return err
	}
	if err := c.Network.SetSingle(o.attached.ips, o.attached.mac, o.attached.aliases); err != nil {
		return err
	}
	c.Network.Shape = o.shape.Over(c.Network.Shape)
	if err := o.health.Finish(&c.Health); err != nil {
		return err
	}
	if err := o.platform(); err != nil {
		return err
	}
	if err := o.environ(&c.Process, host); err != nil {
		return err
	}
	if err := o.labels(c, host); err != nil {
		return err
	}
	if c.Spaces.User == "" && c.Pod == "" {
		c.Spaces.User, _ = host.LookupEnv("PODMAN_USERNS")
	}
	return absolute(c, host)
}

// pod takes the pod from the file that has its id.
func (o *CreateOptions) pod(c *specgen.Container, host Host) error {
	switch {
	case c.Pod != "" && o.podIDFile != "":
		return errors.New("cannot specify both --pod and --pod-id-file")
	case c.Pod != "" && c.Spaces.User != "":
		return errors.New("--userns and --pod cannot be set together")
	case o.attached.given() && c.Network.Mode == "" && (c.Pod != "" || o.podIDFile != "") && !strings.HasPrefix(c.Pod, "new:"):
		return errors.New("invalid config provided: networks must be defined when the pod is created: network cannot be configured when it is shared with a pod")
	case o.podIDFile == "":
		return nil
	}
	return readFile(o.podIDFile, host, func(r io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(r, 1024))
		c.Pod = strings.TrimSpace(string(data))
		if err == nil && c.Pod == "" {
			err = errors.New("reading pod ID file: it is empty")
		}
		return err
	})
}

// target takes the image, or the root file system of --rootfs.
func (o *CreateOptions) target(c *specgen.Container, arg string, host Host) error {
	if !o.rootfs {
		c.Image = arg
		return nil
	}
	dir, option := specgen.SplitRootfs(arg)
	var err error
	c.Rootfs, err = host.Abs(dir)
	c.RootfsOption = option
	return err
}

// pointers sets the fields in which zero has a meaning of its own.
func (o *CreateOptions) pointers(c *specgen.Container) {
	if o.fs.Changed("stop-timeout") {
		c.Process.StopTimeout = &o.stopTimeout
	}
	if o.fs.Changed("oom-score-adj") {
		c.Process.OOMScoreAdj = &o.oomScoreAdj
	}
	if o.fs.Changed("read-only-tmpfs") {
		c.Security.ReadOnlyTmpfs = &o.readOnlyTmpfs
	}
	if o.fs.Changed("retry") {
		o.Retry = &o.retry
	}
}

// platform joins --os, --arch and --variant to one name.
func (o *CreateOptions) platform() error {
	if o.os == "" && o.arch == "" && o.variant == "" {
		return nil
	}
	if o.Platform != "" {
		return errors.New("--platform option can not be specified with --arch, --os or --variant")
	}
	if o.variant != "" && o.arch == "" {
		return errors.New("--variant needs --arch")
	}
	system := o.os
	if system == "" {
		system = "linux"
	}
	o.Platform = system
	for _, part := range []string{o.arch, o.variant} {
		if part != "" {
			o.Platform += "/" + part
		}
	}
	return nil
}

// environ resolves the variables: what the host gives by itself lies below the
// image's, files lie over the image's, and words of the command line over all.
func (o *CreateOptions) environ(p *specgen.Process, host Host) error {
	switch {
	case o.envHost:
		p.EnvDefaults = wellFormed(host.Environ())
	case o.httpProxy:
		for _, name := range []string{"http_proxy", "https_proxy", "ftp_proxy", "no_proxy"} {
			for _, n := range []string{name, strings.ToUpper(name)} {
				if value, ok := host.LookupEnv(n); ok && value != "" {
					p.EnvDefaults = append(p.EnvDefaults, n+"="+value)
				}
			}
		}
	}
	env, err := Env(o.env, o.envFiles, host)
	p.Env = env
	return err
}

// Env resolves the values of --env-file and --env, the latter winning; exec
// uses it too.
func Env(words, files []string, host Host) ([]string, error) {
	var env []string
	for _, name := range files {
		err := readFile(name, host, func(r io.Reader) error {
			more, err := specgen.ParseEnvFile(r, host.LookupEnv)
			env = append(env, more...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("environment file %w", err)
		}
	}
	for _, w := range words {
		more, err := specgen.ResolveEnv(w, host.LookupEnv, host.Environ)
		if err != nil {
			return nil, err
		}
		env = append(env, more...)
	}
	return env, nil
}

func wellFormed(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(e string) bool {
		name, _, ok := strings.Cut(e, "=")
		return !ok || name == ""
	})
}

// labels reads the files of --label-file; labels of the command line win.
func (o *CreateOptions) labels(c *specgen.Container, host Host) error {
	if len(o.labelFiles) == 0 {
		return nil
	}
	labels := map[string]string{}
	for _, name := range o.labelFiles {
		err := readFile(name, host, func(r io.Reader) error { return specgen.ParseLabelFile(r, labels) })
		if err != nil {
			return fmt.Errorf("label file %w", err)
		}
	}
	maps.Copy(labels, c.Labels)
	c.Labels = labels
	return nil
}

func readFile(name string, host Host, read func(io.Reader) error) error {
	f, err := host.Open(name)
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // it would name the file a second time
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	err = errors.Join(read(f), f.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// hostsPath is the base of /etc/hosts, if that is a path.
func hostsPath(n *specgen.Network) *string {
	if n.HostsFile == "image" || n.HostsFile == "none" {
		return new(string)
	}
	return &n.HostsFile
}

// absolute makes the paths of the host absolute, so that the description means
// the same wherever it is read again.
func absolute(c *specgen.Container, host Host) error {
	paths := []*string{&c.CIDFile, hostsPath(&c.Network), &c.PIDFile, &c.ConmonPIDFile, &c.Process.InitPath, &c.Log.Path}
	if c.Security.Seccomp != "unconfined" {
		paths = append(paths, &c.Security.Seccomp)
	}
	if c.Health.LogDir() != "" {
		paths = append(paths, &c.Health.LogDestination)
	}
	for i := range c.Storage.Mounts {
		if t := c.Storage.Mounts[i].Type; t == "bind" || t == "glob" {
			paths = append(paths, &c.Storage.Mounts[i].Source)
		}
	}
	for _, p := range paths {
		if *p == "" {
			continue
		}
		abs, err := host.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}
