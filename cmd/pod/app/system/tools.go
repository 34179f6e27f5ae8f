package system

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.podman.io/common/pkg/config"

	"github.com/rootless-pod/pod/pkg/libpod"
)

// probeTimeout bounds each question to a program: info must answer on a host
// whose tools hang.
const probeTimeout = 2 * time.Second

// unknown is podman's word for what nobody can tell.
const unknown = "Unknown"

// tools fills in what the programs on the host say of themselves. All are asked
// at once, and the package manager once for all.
func tools(ctx context.Context, conf *config.Config, facts *libpod.Info, h *hostInfo) {
	h.Conmon.Path = facts.Conmon
	h.OCIRuntime.Path, h.OCIRuntime.Name = facts.Runtime, filepath.Base(facts.Runtime)
	if facts.RuntimeErr != nil {
		h.OCIRuntime.Name = ""
		h.Reduced = append(h.Reduced, facts.RuntimeErr.Error())
	}
	if facts.ConmonErr != nil {
		h.Reduced = append(h.Reduced, facts.ConmonErr.Error())
	}
	find := func(name string) string {
		path, err := conf.FindHelperBinary(name, true)
		if err != nil {
			return ""
		}
		return path
	}
	h.Pasta.Executable, h.Slirp4netns.Executable = find("pasta"), find("slirp4netns")
	net := &h.NetworkBackendInfo
	net.Path, net.DNS.Path = find("netavark"), find("aardvark-dns")
	asked := []struct{ path, version, pkg *string }{
		{&h.Conmon.Path, &h.Conmon.Version, &h.Conmon.Package},
		{&h.OCIRuntime.Path, &h.OCIRuntime.Version, &h.OCIRuntime.Package},
		{&h.Pasta.Executable, &h.Pasta.Version, &h.Pasta.Package},
		{&h.Slirp4netns.Executable, &h.Slirp4netns.Version, &h.Slirp4netns.Package},
		{&net.Path, &net.Version, &net.Package},
		{&net.DNS.Path, &net.DNS.Version, &net.DNS.Package},
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var group sync.WaitGroup
	var paths []string
	for _, tool := range asked {
		*tool.version, *tool.pkg = unknown, unknown
		if *tool.path == "" {
			continue
		}
		paths = append(paths, *tool.path)
		group.Go(func() {
			if text := ask(ctx, *tool.path, "--version"); text != "" {
				*tool.version = text
			}
		})
	}
	var packages map[string]string
	group.Go(func() { packages = packageOf(ctx, paths) })
	group.Wait()
	for _, tool := range asked {
		if name := packages[*tool.path]; name != "" {
			*tool.pkg = name
			// Debian 13's pasta loses its answer on a pipe: it ends by _exit.
			if *tool.version == unknown {
				*tool.version = name
			}
		}
	}
}

// ask runs a program and returns what it prints, "" if it fails.
func ask(ctx context.Context, name string, args ...string) string {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = probeTimeout / 4 // a child that keeps the pipe open
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// packageOf asks the package manager, whichever is there, which packages the
// files belong to: path to NAME_VERSION_ARCH.
func packageOf(ctx context.Context, paths []string) map[string]string {
	if len(paths) == 0 {
		return nil
	}
	if _, err := exec.LookPath("dpkg-query"); err == nil {
		owners := parseOwners(askAll(ctx, "dpkg-query", append([]string{"--search"}, paths...)...))
		names := make([]string, 0, len(owners))
		for _, name := range owners {
			names = append(names, name)
		}
		if len(names) == 0 {
			return nil
		}
		versions := parseVersions(askAll(ctx, "dpkg-query",
			append([]string{"--show", "--showformat=${Package} ${Package}_${Version}_${Architecture}\\n"}, names...)...))
		for path, name := range owners {
			owners[path] = versions[name]
		}
		return owners
	}
	if _, err := exec.LookPath("rpm"); err == nil {
		owners := map[string]string{}
		for i, line := range strings.Split(askAll(ctx, "rpm", append([]string{"--query", "--file"}, paths...)...), "\n") {
			if i < len(paths) && !strings.Contains(line, " ") {
				owners[paths[i]] = line
			}
		}
		return owners
	}
	return nil
}

// askAll is ask for commands that fail when one of many objects is unknown.
func askAll(ctx context.Context, name string, args ...string) string {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = probeTimeout / 4
	out, _ := cmd.Output() // what is known was printed
	return strings.TrimSpace(string(out))
}

// parseOwners reads dpkg-query --search: "PACKAGE[:ARCH][, …]: PATH".
func parseOwners(text string) map[string]string {
	owners := map[string]string{}
	for line := range strings.Lines(text) {
		names, path, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.HasPrefix(names, "diversion ") {
			continue
		}
		name, _, _ := strings.Cut(names, ",")
		name, _, _ = strings.Cut(name, ":")
		owners[path] = name
	}
	return owners
}

func parseVersions(text string) map[string]string {
	versions := map[string]string{}
	for line := range strings.Lines(text) {
		if name, full, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			versions[name] = full
		}
	}
	return versions
}
