package specgen

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// ApplyImage fills what the user left open with the defaults of the image. It
// is called once, when the container is created. The image is hostile input:
// its values are taken as they are or refused, and never expanded.
func (c *Container) ApplyImage(img ImageConfig) error {
	c.applyCommand(img)
	if len(c.Process.Entrypoint)+len(c.Process.Command) == 0 {
		return ErrNoCommand
	}
	env := c.keptEnv(imageEnv(img.Env))
	c.Process.Env = mergeEnv(env, expand(c.Process.EnvMerge, env), c.Process.Env)
	if c.Process.WorkDir == "" && img.WorkingDir != "" {
		if strings.ContainsRune(img.WorkingDir, 0) {
			return fmt.Errorf("image: invalid working directory %q", img.WorkingDir)
		}
		c.Process.WorkDir = path.Clean("/" + img.WorkingDir)
	}
	if c.Process.User == "" && img.User != "" {
		if _, _, err := ParseUser(img.User); err != nil {
			return fmt.Errorf("image: %w: choose one with --user", err)
		}
		c.Process.User = img.User
	}
	if c.Process.StopSignal == "" && img.StopSignal != "" {
		if _, err := ParseSignal(img.StopSignal); err != nil {
			return fmt.Errorf("image: stop signal: %w: choose one with --stop-signal", err)
		}
		c.Process.StopSignal = img.StopSignal
	}
	if c.Process.StopSignal == "" && c.SystemdMode() {
		c.Process.StopSignal = "SIGRTMIN+3" // systemd's for an orderly halt
	}
	if len(img.Labels) > 0 {
		labels := maps.Clone(img.Labels)
		maps.Copy(labels, c.Labels)
		c.Labels = labels
	}
	if err := c.applyVolumes(img.Volumes); err != nil {
		return err
	}
	if err := c.Health.applyImage(img.Health); err != nil {
		return err
	}
	if c.SDNotify == "healthy" && !c.Health.Defined() {
		return errors.New("sdnotify policy \"healthy\" requires a healthcheck to be set")
	}
	return c.applyPorts(img.ExposedPorts)
}

// applyCommand follows the field's rule: an entry point of the user's discards
// the image's command too, since that was written for the image's entry point.
func (c *Container) applyCommand(img ImageConfig) {
	own := c.Process.Entrypoint != nil
	if !own {
		c.Process.Entrypoint = slices.Clone(img.Entrypoint)
	}
	if len(c.Process.Command) == 0 && !own {
		c.Process.Command = slices.Clone(img.Cmd)
	}
}

// expand fills the variables of the image into the user's words.
func expand(words, env []string) []string {
	var out []string
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		out = append(out, name+"="+os.Expand(value, func(key string) string {
			for _, e := range env {
				if v, ok := strings.CutPrefix(e, key+"="); ok {
					return v
				}
			}
			return ""
		}))
	}
	return out
}

// imageEnv keeps the well-formed variables of an image. An entry without "="
// or with a "*" would, read as an option, copy host variables into the
// container; it is dropped.
func imageEnv(env []string) []string {
	kept := make([]string, 0, len(env))
	for _, e := range env {
		name, _, ok := strings.Cut(e, "=")
		if !ok || name == "" || strings.Contains(name, "*") || strings.ContainsRune(e, 0) {
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// keptEnv is env without what the user unset.
func (c *Container) keptEnv(env []string) []string {
	if c.Process.UnsetEnvAll {
		return nil
	}
	if len(c.Process.UnsetEnv) == 0 {
		return env
	}
	return slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(c.Process.UnsetEnv, name)
	})
}

// mergeEnv joins lists of NAME=VALUE; a later value replaces an earlier one in
// its place, so that the result has each name once.
func mergeEnv(lists ...[]string) []string {
	n := 0
	for _, l := range lists {
		n += len(l)
	}
	out := make([]string, 0, n)
	at := make(map[string]int, n)
	for _, l := range lists {
		for _, e := range l {
			name, _, _ := strings.Cut(e, "=")
			if i, ok := at[name]; ok {
				out[i] = e
				continue
			}
			at[name] = len(out)
			out = append(out, e)
		}
	}
	return out
}

func (c *Container) applyVolumes(volumes []string) error {
	if c.Storage.ImageVolume == "ignore" {
		return nil
	}
	for _, v := range slices.Sorted(slices.Values(volumes)) {
		dst := path.Clean("/" + v)
		if c.mountsAt(dst) {
			continue
		}
		if hasControl(v) || dst == "/" || isBelow(dst, "/proc") || isBelow(dst, "/sys") || isBelow(dst, "/dev") {
			return fmt.Errorf("image: volume at %q is refused: use --image-volume=ignore", v)
		}
		m := Mount{Type: "volume", Destination: dst}
		if c.Storage.ImageVolume == "tmpfs" {
			m.Type = "tmpfs"
		}
		c.Storage.Mounts = append(c.Storage.Mounts, m)
	}
	return nil
}

func (c *Container) mountsAt(dst string) bool {
	return slices.ContainsFunc(c.Storage.Mounts, func(m Mount) bool { return path.Clean(m.Destination) == dst })
}

func (c *Container) applyPorts(ports []string) error {
	for _, p := range slices.Sorted(slices.Values(ports)) {
		if _, err := ParseExpose(p); err != nil {
			return fmt.Errorf("image: exposed port: %w", err)
		}
		if !slices.Contains(c.Network.Expose, p) {
			c.Network.Expose = append(c.Network.Expose, p)
		}
	}
	if c.Network.PublishAll {
		return c.Network.publishExposed()
	}
	return nil
}

// publishExposed adds a mapping to a free host port for each exposed port that
// has none (--publish-all).
func (n *Network) publishExposed() error {
	for _, s := range n.Expose {
		exposed, err := ParseExpose(s)
		if err != nil {
			return err
		}
		for i := range exposed.Range {
			port := PortMapping{ContainerPort: exposed.ContainerPort + i, Range: 1, Protocol: exposed.Protocol}
			if !slices.ContainsFunc(n.Ports, func(q PortMapping) bool {
				return q.Protocol == port.Protocol && q.ContainerPort <= port.ContainerPort &&
					int(port.ContainerPort) < int(q.ContainerPort)+int(q.Range)
			}) {
				n.Ports = append(n.Ports, port)
			}
		}
	}
	return nil
}

// isBelow reports whether the clean path p is dir or inside it.
func isBelow(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
