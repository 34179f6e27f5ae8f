package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// unitExts are those of Quadlet files.
func unitExts() []string {
	return []string{".container", ".pod", ".network", ".volume", ".image", ".build", ".artifact", ".kube"}
}

// plainExts are those of units that systemd reads itself.
func plainExts() []string {
	return []string{".service", ".socket", ".timer", ".target", ".slice", ".path"}
}

// services are the names of the services that Quadlet files become.
func services(file string) []string {
	ext := filepath.Ext(file)
	base := strings.TrimSuffix(file, ext)
	if ext == ".container" || ext == ".kube" {
		return []string{base + ".service"}
	}
	return []string{base + "-" + ext[1:] + ".service"}
}

// units DIR gives the Quadlet files and drop-ins of DIR to the user's manager, and has
// it load them. All scripts share that manager, so $U is put before the files' names,
// also where the files name each other. Units that systemd reads itself (sockets) may
// be among them. The services use the script's home and store,
// and do not wait for the network. Called again, it replaces what it gave before.
func units(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: units DIR")
	}
	box := boxOf(ts)
	prefix := strings.ReplaceAll(filepath.Base(box.base), ".", "") + "-"
	dir := filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "containers", "systemd", strings.TrimSuffix(prefix, "-"))
	plain := filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "systemd", "user")
	ts.Check(os.RemoveAll(dir))
	ts.Check(dropPlain(plain, prefix))
	ts.Check(copyUnits(ts.MkAbs(args[0]), dir, plain, prefix))
	ts.Check(os.MkdirAll(filepath.Join(plain, prefix+".service.d"), 0o700))
	_, env, _ := strings.Cut(ownStore(ts), "false\n")
	ts.Check(os.WriteFile(filepath.Join(plain, prefix+".service.d", "e2e.conf"), []byte(env), 0o600))
	for _, ext := range unitExts() {
		ts.Check(os.MkdirAll(filepath.Join(dir, prefix+ext+".d"), 0o700))
		ts.Check(os.WriteFile(filepath.Join(dir, prefix+ext+".d", "e2e.conf"), []byte(ownStore(ts)), 0o600))
	}
	if ts.Getenv("U") == "" {
		ts.Setenv("U", prefix)
		ts.Defer(func() { box.dropUnits(prefix, dir, plain) })
	}
	ts.Check(ts.Exec("systemctl", "--user", "daemon-reload"))
}

// ownStore is the drop-in by which services use the script's store.
func ownStore(ts *testscript.TestScript) string {
	var text strings.Builder
	text.WriteString("[Quadlet]\nDefaultDependencies=false\n[Service]\n")
	for _, name := range []string{"HOME", "CONTAINERS_STORAGE_CONF", "REGISTRY_AUTH_FILE", "POD_TIMERS", "PROBE"} {
		fmt.Fprintf(&text, "Environment=\"%s=%s\"\n", name, ts.Getenv(name))
	}
	return text.String()
}

// copyUnits copies files with the prefix before the names of all of them.
func copyUnits(from, to, plain, prefix string) error {
	var names []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err == nil && slices.Contains(unitExts(), filepath.Ext(path)) {
			// An instance and what it becomes are named after the template too.
			names = append(names, regexp.QuoteMeta(d.Name()))
			for _, service := range services(d.Name()) {
				names = append(names, regexp.QuoteMeta(service))
			}
		}
		if err == nil && !d.IsDir() && slices.Contains(plainExts(), filepath.Ext(path)) {
			names = append(names, regexp.QuoteMeta(d.Name()))
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("no Quadlet files are there")
	}
	// Go's regular expressions do not look ahead, and one separator may serve two names.
	name := regexp.MustCompile(`(^|[\s=,])(` + strings.Join(names, "|") + `)\b`)
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		first, rest, below := strings.Cut(rel, "/")
		if below || slices.Contains(unitExts(), filepath.Ext(first)) {
			first = prefix + first
		}
		target := filepath.Join(to, first, rest)
		if slices.Contains(plainExts(), filepath.Ext(path)) {
			target = filepath.Join(plain, prefix+rel)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(prefix+link, target)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, name.ReplaceAll(data, []byte("${1}"+prefix+"${2}")), 0o600)
	})
}

// dropUnits ends what runs of the script's units, and takes them from the manager.
func (b *sandbox) dropUnits(prefix, dir, plain string) {
	for _, args := range [][]string{
		{"stop", "--", prefix + "*"}, {"reset-failed", "--", prefix + "*"}, nil, {"daemon-reload"},
	} {
		if args == nil {
			if err := errors.Join(os.RemoveAll(dir), dropPlain(plain, prefix)); err != nil {
				b.t.Error(err)
			}
			continue
		}
		if _, err := b.command("systemctl", append([]string{"--user"}, args...)...); err != nil && args[0] != "reset-failed" {
			b.t.Error(err)
		}
	}
}

// dropPlain removes the script's units that systemd reads itself.
func dropPlain(plain, prefix string) error {
	paths, err := filepath.Glob(filepath.Join(plain, prefix+"*"))
	for _, path := range paths {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
