package specgen

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// maxEnvLine bounds a line of an environment file; the kernel takes no longer
// string in execve (MAX_ARG_STRLEN is 128 KiB).
const maxEnvLine = 128 << 10

// ParseEnvFile reads lines NAME=VALUE, the value taken as it is. Empty lines
// and lines that begin with # are skipped; NAME alone takes its value from
// lookup, and is left out when that has none.
func ParseEnvFile(r io.Reader, lookup func(string) (string, bool)) ([]string, error) {
	var env []string
	err := eachLine(r, func(line string) error {
		name, _, hasValue := strings.Cut(line, "=")
		if err := checkEnvName(name); err != nil {
			return err
		}
		if hasValue {
			env = append(env, line)
			return nil
		}
		if value, ok := lookup(name); ok {
			env = append(env, name+"="+value)
		}
		return nil
	})
	return env, err
}

// ParseLabelFile reads lines NAME[=VALUE] into labels.
func ParseLabelFile(r io.Reader, labels map[string]string) error {
	return eachLine(r, func(line string) error {
		name, value, err := ParseLabel(line)
		if err == nil {
			labels[name] = value
		}
		return err
	})
}

// ParseLabel reads NAME[=VALUE], of a label or an annotation.
func ParseLabel(s string) (name, value string, err error) {
	name, value, _ = strings.Cut(s, "=")
	if name == "" || hasControl(name) {
		return "", "", fmt.Errorf("invalid label %q: it must be NAME=VALUE", s)
	}
	if strings.ContainsRune(value, 0) {
		return "", "", fmt.Errorf("invalid label %q: NUL in the value", s)
	}
	return name, value, nil
}

func eachLine(r io.Reader, f func(string) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 4096), maxEnvLine)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimLeft(strings.TrimPrefix(sc.Text(), "\ufeff"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.ContainsRune(line, 0) {
			return fmt.Errorf("line %d: NUL character", n)
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return sc.Err()
}

func checkEnvName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("empty variable name")
	case strings.ContainsAny(name, " \t") || hasControl(name):
		return fmt.Errorf("variable name %q has white space", name)
	case strings.Contains(name, "*"):
		return fmt.Errorf("variable name %q: a pattern is allowed on the command line only", name)
	}
	return nil
}

// ResolveEnv reads one value of --env: NAME=VALUE, NAME (taken from lookup, left
// out when unset) or PREFIX* (every variable of environ that begins so). It is
// for the command line alone: never call it with words of an image or a file.
func ResolveEnv(s string, lookup func(string) (string, bool), environ func() []string) ([]string, error) {
	name, _, hasValue := strings.Cut(s, "=")
	if prefix, ok := strings.CutSuffix(name, "*"); ok && !hasValue {
		var env []string
		for _, e := range environ() {
			if key, _, ok := strings.Cut(e, "="); ok && key != "" && strings.HasPrefix(key, prefix) {
				env = append(env, e)
			}
		}
		return env, nil
	}
	if name == "" || strings.ContainsRune(s, 0) {
		return nil, fmt.Errorf("invalid environment variable %q: it must be NAME=VALUE or NAME", s)
	}
	if hasValue {
		return []string{s}, nil
	}
	if value, ok := lookup(name); ok {
		return []string{name + "=" + value}, nil
	}
	return nil, nil
}
