package container

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// labelCommand reads the command that a label of an image describes. The label is
// hostile input: it is split into words here, no shell sees it.
type labelCommand struct {
	image, name string
	opts        [3]string
}

// words are the arguments of pod that the label means.
func (l *labelCommand) words(value string) ([]string, error) {
	split, err := splitWords(value)
	if err != nil {
		return nil, err
	}
	if len(split) == 0 {
		return nil, errors.New("it is empty")
	}
	switch path.Base(split[0]) {
	case "pod", "podman", "docker":
	default:
		return nil, fmt.Errorf("its command %q is not pod: what an image names is not executed on the host", split[0])
	}
	var words []string
	for _, w := range split[1:] {
		switch w {
		case "$GLOBAL_OPTS", "${GLOBAL_OPTS}":
			continue
		case "IMAGE":
			w = l.image
		case "NAME":
			w = l.name
		}
		if w, err = l.expand(w); err != nil {
			return nil, err
		}
		if w != "" {
			words = append(words, w)
		}
	}
	return words, nil
}

// expand replaces the few variables that are the caller's own.
func (l *labelCommand) expand(w string) (string, error) {
	w = strings.ReplaceAll(strings.ReplaceAll(w, "=IMAGE", "="+l.image), "=NAME", "="+l.name)
	for name, value := range map[string]string{"IMAGE": l.image, "NAME": l.name, "OPT1": l.opts[0], "OPT2": l.opts[1], "OPT3": l.opts[2]} {
		w = strings.ReplaceAll(w, "${"+name+"}", value)
		if w == "$"+name || strings.HasSuffix(w, "=$"+name) {
			w = strings.TrimSuffix(w, "$"+name) + value
		}
	}
	if strings.Contains(w, "$") {
		return "", fmt.Errorf("%q: of variables an image gets IMAGE, NAME and OPT1 to OPT3 only", w)
	}
	return w, nil
}

// splitWords splits like a shell, with quotes and backslashes and nothing else.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	open, quote, escaped := false, rune(0), false
	for _, r := range s {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, open = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, open = r, true
		case strings.ContainsRune(" \t\n\r", r):
			if open {
				words = append(words, word.String())
				word.Reset()
			}
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote in it has no end")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

// check refuses commands that give the image more than a container of its own. It
// returns the container that the command is about, if it is about one.
func (l *labelCommand) check(words []string) (container string, err error) {
	if len(words) == 0 {
		return "", errors.New("it names no command")
	}
	verb, args := words[0], words[1:]
	if verb == "container" && len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	switch verb {
	case "run", "create":
		return "", l.checkRun(verb, args)
	case "start", "stop", "restart", "kill", "rm":
		for _, w := range args {
			if w != l.name && w != "-f" && w != "--force" {
				return "", fmt.Errorf("%q: %s may be about container %s only", w, verb, l.name)
			}
		}
		if !slices.Contains(args, l.name) {
			return "", fmt.Errorf("%s names no container", verb)
		}
		return l.name, nil
	}
	return "", fmt.Errorf("`pod %s` is not for an image to ask", verb)
}

// harmless are the options that change the container and nothing around it.
func harmless(name string) bool {
	switch name {
	case "rm", "detach", "interactive", "tty", "name", "env", "unsetenv", "unsetenv-all", "label", "workdir", "user", "entrypoint",
		"hostname", "stop-signal", "stop-timeout", "timeout", "read-only", "cap-drop", "init", "tmpfs", "memory", "memory-reservation",
		"cpus", "pids-limit", "shm-size", "umask", "tz", "publish", "publish-all", "expose", "volume", "no-hosts", "quiet", "http-proxy":
		return true
	}
	return false
}

func (l *labelCommand) checkRun(verb string, args []string) error {
	var spec specgen.Container
	fs := pflag.NewFlagSet(verb, pflag.ContinueOnError)
	fs.SetInterspersed(false)
	fs.Usage = func() {}
	flag.Create(fs, &spec)
	if verb == "run" {
		flag.Run(fs)
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	var refused error
	fs.Visit(func(f *pflag.Flag) {
		if !harmless(f.Name) && refused == nil {
			refused = fmt.Errorf("--%s is for you to give, not for an image", f.Name)
		}
	})
	if refused != nil {
		return refused
	}
	for _, m := range spec.Storage.Mounts {
		if m.Type == "bind" {
			return fmt.Errorf("it mounts %s of the host", m.Source)
		}
		if m.Type == "volume" && m.Source != "" {
			return fmt.Errorf("it mounts volume %s, which may be another container's", m.Source)
		}
	}
	for _, p := range spec.Network.Ports {
		if p.HostPort != 0 && p.HostPort < 1024 {
			return fmt.Errorf("it publishes the host's port %d", p.HostPort)
		}
	}
	if fs.NArg() == 0 || fs.Arg(0) != l.image {
		return errors.New("it runs another image")
	}
	return l.checkEnv(args[:len(args)-fs.NArg()])
}

// checkEnv refuses variables that would be copied from the host.
func (l *labelCommand) checkEnv(options []string) error {
	for i, w := range options {
		value, ok := strings.CutPrefix(w, "--env=")
		switch {
		case ok:
		case (w == "-e" || w == "--env") && i+1 < len(options):
			value = options[i+1]
		case strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.Contains(w, "e"):
			_, value, _ = strings.Cut(w, "e")
			if value == "" && i+1 < len(options) {
				value = options[i+1]
			}
		default:
			continue
		}
		if !strings.Contains(value, "=") {
			return fmt.Errorf("it copies the host's variable %s", value)
		}
	}
	return nil
}
