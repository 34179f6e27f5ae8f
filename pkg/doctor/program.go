package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

func programChecks() []Check {
	return []Check{
		{"pasta", "pasta, which makes the network of a user's container", checkPasta},
		{"slirp4netns", "slirp4netns, the older way", checkSlirp},
		{"netavark", "netavark, for bridge networks", helper("netavark", "bridge networks")},
		{"aardvark-dns", "aardvark-dns, for names on bridge networks", helper("aardvark-dns", "names on bridge networks")},
		{"conmon", "conmon, which watches over each container", checkConmon},
		{"runtime", "the OCI runtime: crun, runc, …", checkRuntime},
		{"catatonit", "catatonit, for --init", checkCatatonit},
	}
}

var versionPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\d+(\.[0-9A-Za-z~-]+)+|\d{4}_\d\d_\d\d[.0-9a-z]*`) }) //nolint:gochecknoglobals // compiled once, never written

// program says where a program is and its version.
func (h *Host) program(ctx context.Context, path string) Result {
	version := h.version(ctx, path)
	if version == "" {
		return ok("%s", path)
	}
	return ok("%s, version %s", path, version)
}

// version is what a program says of itself. Debian's pasta loses its answer on a
// pipe, since it ends by _exit.
func (h *Host) version(ctx context.Context, path string) string {
	text, err := h.Kernel.Ask(ctx, path, "--version")
	if err != nil && text == "" {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return versionPattern().FindString(line)
}

// helper finds a program in containers.conf's directories of helpers.
func (h *Host) helper(name string) string {
	candidates := make([]string, 0, len(h.HelperDirs))
	for _, dir := range h.HelperDirs {
		candidates = append(candidates, filepath.Join(dir, name))
	}
	return h.find(name, candidates...)
}

func install(debian, fedora, other string) string {
	return fmt.Sprintf("install_package %s %s %s", debian, fedora, other)
}

func checkPasta(ctx context.Context, h *Host) Result {
	if path := h.helper("pasta"); path != "" {
		return h.program(ctx, path)
	}
	if h.UID == 0 {
		return skip("not installed; root does not need it")
	}
	if h.helper("slirp4netns") != "" {
		return warn("not installed").because("slirp4netns must be asked for: --network slirp4netns").
			asRoot(install("passt", "passt", "passt")).mend("install the package passt")
	}
	return fail("not installed, nor slirp4netns").because("containers have no network; --network none and host work").
		asRoot(install("passt", "passt", "passt")).mend("install the package passt")
}

func checkSlirp(ctx context.Context, h *Host) Result {
	if path := h.helper("slirp4netns"); path != "" {
		return h.program(ctx, path)
	}
	return skip("not installed; only --network slirp4netns needs it")
}

func helper(name, what string) func(context.Context, *Host) Result {
	return func(ctx context.Context, h *Host) Result {
		if path := h.helper(name); path != "" {
			return h.program(ctx, path)
		}
		return skip("not installed; only %s need it", what)
	}
}

func checkConmon(ctx context.Context, h *Host) Result {
	path := h.find("conmon", h.Conmon...)
	if path == "" {
		return fail("not installed").because("no container can be started without it").
			asRoot(install("conmon", "conmon", "conmon")).mend("install the package conmon")
	}
	if v := h.version(ctx, path); v != "" && older(v, "2.0.26") {
		return warn("%s, version %s", path, v).because("pod is tried with 2.0.26 and newer").mend("install a newer conmon")
	}
	return h.program(ctx, path)
}

func checkRuntime(ctx context.Context, h *Host) Result {
	names := []string{"crun", "runc", "youki", "runsc"}
	if h.Runtime != "" {
		names = append([]string{h.Runtime}, names...)
	}
	var found []string
	first, seen := "", map[string]bool{}
	for _, name := range names {
		path := name
		if !strings.Contains(name, "/") {
			path = h.find(name, h.Runtimes[name]...)
		} else if !h.exists(path) {
			path = ""
		}
		if path == "" || seen[path] {
			continue
		}
		seen[path] = true
		if first == "" {
			first = filepath.Base(path)
		}
		found = append(found, strings.TrimSpace(filepath.Base(path)+" "+h.version(ctx, path)))
	}
	list := strings.Join(found, ", ")
	switch {
	case len(found) == 0:
		return fail("none is installed").because("no container can be started without one").
			asRoot(install("crun", "crun", "crun")).mend("install the package crun")
	case h.Runtime != "" && first != filepath.Base(h.Runtime):
		return fail("%s is configured, but not installed (there are: %s)", h.Runtime, list).
			because("containers.conf or --runtime names it").mend("install %s, or name another one", h.Runtime)
	case first == "crun" && h.layout() == "hybrid" && h.UID != 0 && !h.trial(ctx).Hybrid:
		return fail("%s", list).because("crun refuses to work on hybrid cgroups").
			mend("use runc (--runtime runc; runtime = \"runc\" in containers.conf), or boot with cgroup version 2")
	case first == "crun" && h.layout() == "hybrid":
		return ok("%s (crun sees version 2 alone of the hybrid cgroups)", list)
	}
	return ok("%s", list)
}

func checkCatatonit(ctx context.Context, h *Host) Result {
	dirs := []string{"/usr/libexec/catatonit/catatonit", "/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit"}
	for _, dir := range h.HelperDirs {
		dirs = append(dirs, filepath.Join(dir, "catatonit"))
	}
	if path := h.find("catatonit", dirs...); path != "" {
		return h.program(ctx, path)
	}
	return warn("not installed").because("run --init needs it").
		asRoot(install("catatonit", "catatonit", "catatonit")).mend("install the package catatonit")
}

// older compares versions of numbers.
func older(v, than string) bool {
	a, b := strings.Split(v, "."), strings.Split(than, ".")
	for i := range b {
		var x, y int
		if i < len(a) {
			_, _ = fmt.Sscanf(a[i], "%d", &x) // what is no number counts as 0
		}
		_, _ = fmt.Sscanf(b[i], "%d", &y)
		if x != y {
			return x < y
		}
	}
	return false
}
