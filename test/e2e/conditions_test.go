package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// boxArchive is a Debian system that distrobox can make a box of offline.
const boxArchive = "/usr/share/pod-testhost/box.tar"

// imagesDir has the archives that test/host/images makes.
const imagesDir = "/usr/local/share/pod-testhost"

// A condition returns why it does not hold, or "" when it does.
func conditions() map[string]func() string {
	return map[string]func() string{
		"systemd": func() string {
			return exists(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "systemd", "private"), "no systemd user manager")
		},
		"journald": func() string { return exists("/run/systemd/journal/socket", "no journald") },
		"cgroup2": func() string {
			return exists("/sys/fs/cgroup/cgroup.controllers", "cgroup v2 is not mounted at /sys/fs/cgroup")
		},
		"controllers": func() string {
			data, _ := os.ReadFile(filepath.Join("/sys/fs/cgroup", ownCgroup(), "cgroup.controllers"))
			if !strings.Contains(string(data), "memory") || !strings.Contains(string(data), "pids") {
				return "the memory and pids controllers are not delegated to this user"
			}
			return ""
		},
		"cpuset": func() string {
			return exists(managerCgroup("cpuset.cpus"), "the cpuset controller is not delegated to this user")
		},
		"ioweight": func() string {
			return exists(managerCgroup("io.weight"), "this kernel has no io.weight for cgroups")
		},
		"only-cgroup2": func() string {
			data, _ := os.ReadFile("/proc/self/cgroup")
			if strings.Count(string(data), "\n") > 1 {
				return "the kernel has version 1 cgroups in use"
			}
			return ""
		},
		"tun":  func() string { return writable("/dev/net/tun") },
		"fuse": func() string { return writable("/dev/fuse") },
		"root": func() string {
			if os.Geteuid() != 0 {
				return "not root"
			}
			return ""
		},
		"podman":      program("podman"),
		"buildah":     program("buildah"),
		"skopeo":      program("skopeo"),
		"slirp4netns": program("slirp4netns"),
		"crun":        program("crun"),
		"runc":        program("runc"),
		"runsc": func() string {
			if program("runsc")() != "" {
				return "gVisor's runsc is not installed: make runsc puts it into the test host"
			}
			return ""
		},
		"wasmedge": func() string {
			found, err := filepath.Glob("/usr/lib/*/libwasmedge.so.0")
			if err != nil || len(found) == 0 {
				return "no libwasmedge for crun's wasm handler (Debian: libwasmedge0)"
			}
			return ""
		},
		"distrobox": func() string {
			if program("distrobox")() != "" {
				return "distrobox is not installed"
			}
			return exists(boxArchive, "no root file system for a box; test/host/testhost makes one")
		},
		"images": func() string {
			return exists(imagesDir, "no systems to build images on: make images puts them into the test host")
		},
		"node": func() string {
			return exists(filepath.Join(imagesDir, "node.tar"), "no system with Node.js: make images puts one into the test host")
		},
		"trio": func() string {
			return exists(filepath.Join(imagesDir, "trio.tar"), "no system with nginx and PostgreSQL: make images puts one into the test host")
		},
		"netavark": func() string {
			if exists("/usr/lib/podman/netavark", "-") != "" || exists("/usr/lib/podman/aardvark-dns", "-") != "" {
				return "netavark or aardvark-dns is not installed"
			}
			return exists("/dev/net/tun", "no /dev/net/tun")
		},
		"netem": noNetem,
		"no-netem": func() string {
			if noNetem() == "" {
				return "the kernel has netem"
			}
			return ""
		},
		"catatonit": program("catatonit"),
		"strace":    program("strace"),
		"gpg":       program("gpg"),
		"criu":      program("criu"),
	}
}

// noNetem tries the queue that delays and drops packets.
func noNetem() string {
	const try = "PATH=$PATH:/usr/sbin:/sbin; tc qdisc add dev lo root netem delay 1ms"
	if out, err := exec.Command("unshare", "-rn", "sh", "-c", try).CombinedOutput(); err != nil { //nolint:noctx // it ends by itself
		return "the kernel has no netem: " + strings.TrimSpace(string(out))
	}
	return ""
}

func exists(path, otherwise string) string {
	if _, err := os.Stat(path); err != nil {
		return otherwise
	}
	return ""
}

func writable(path string) string {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err.Error()
	}
	_ = f.Close()
	return ""
}

func program(name string) func() string {
	return func() string {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is not installed"
		}
		return ""
	}
}

// managerCgroup is a file of the cgroup of the user's manager.
func managerCgroup(name string) string {
	uid := os.Getuid()
	return fmt.Sprintf("/sys/fs/cgroup/user.slice/user-%d.slice/user@%d.service/%s", uid, uid, name)
}

// ownCgroup is this process's path in the v2 tree.
func ownCgroup() string {
	data, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSpace(path)
		}
	}
	return ""
}

// condition answers [name] in scripts.
func condition(name string) (bool, error) {
	check := conditions()[name]
	if check == nil {
		return false, fmt.Errorf("unknown condition %s", name)
	}
	return check() == "", nil
}

// require COND... skips the script unless all hold, and says why.
func require(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: require CONDITION...")
	}
	for _, name := range args {
		check := conditions()[name]
		if check == nil {
			ts.Fatalf("unknown condition %s", name)
		}
		if reason := check(); reason != "" {
			boxOf(ts).t.Skip("skip: needs " + name + ": " + reason)
		}
	}
}
