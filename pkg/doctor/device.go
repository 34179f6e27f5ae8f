package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/shellword"
)

func deviceChecks() []Check {
	return []Check{
		{"overlay", "overlay mounts in a user namespace, tried where the store is", checkOverlay},
		{"fuse-overlayfs", "the program that stands in where the kernel refuses overlay", checkFuseOverlay},
		{"fuse", "/dev/fuse", checkFuse},
		{"idmap", "id-mapped mounts, tried", checkIDMap},
		{"tun", "/dev/net/tun, which networks of users need", checkTun},
		{"ports", "the ports below which only root may listen", checkPorts},
	}
}

// overlay tries an overlay mount, once for all checks.
func (h *Host) overlay(ctx context.Context) (dir string, err error) {
	h.overlayOnce.Do(func() {
		h.overlayDir = h.existing(h.GraphRoot)
		if h.overlayErr = h.Kernel.Writable(h.overlayDir); h.overlayErr != nil {
			h.overlayErr = fmt.Errorf("%w: %w", errUntried, h.overlayErr)
			return
		}
		h.overlayErr = h.Kernel.Probe(ctx, "overlay", h.overlayDir)
	})
	return h.overlayDir, h.overlayErr
}

// errUntried says that something could not even be tried.
var errUntried = errors.New("cannot be tried")

func checkOverlay(ctx context.Context, h *Host) Result {
	if h.GraphRoot == "" {
		return skip("the place of the store is not known")
	}
	if t := h.trial(ctx); t.Err != nil {
		return skip("cannot be tried without user namespaces")
	}
	dir, err := h.overlay(ctx)
	program := h.mountProgram()
	switch {
	case h.Driver == "vfs":
		return warn("the driver vfs is configured").because("it copies every layer: slow, and much space").
			mend("driver = \"overlay\" in storage.conf, with a new store")
	case program != "":
		return ok("%s is configured", program)
	case err == nil:
		return ok("works in %s", dir)
	case errors.Is(err, errUntried):
		return skip("%v", err)
	}
	r := warn("the kernel refuses it in %s", dir)
	if why := h.fuseProblem(); why != "" {
		return r.because("%s; the store copies every layer then (driver vfs), since %s", errOf(err), why).
			mend("install fuse-overlayfs and open /dev/fuse (see those checks), or use a store on ext4, xfs or btrfs (--root) with Linux 5.13 or newer")
	}
	return r.because("%s; fuse-overlayfs is used, which is slower", errOf(err)).
		mend("a store on ext4, xfs or btrfs (--root) with Linux 5.13 or newer")
}

func (h *Host) mountProgram() string {
	for _, option := range h.DriverOptions {
		if _, program, found := strings.Cut(option, "mount_program="); found {
			return program
		}
	}
	return ""
}

// needsFuse says whether fuse-overlayfs would have work to do.
func (h *Host) needsFuse(ctx context.Context) bool {
	if h.mountProgram() != "" {
		return true
	}
	if h.GraphRoot == "" || h.trial(ctx).Err != nil {
		return false
	}
	_, err := h.overlay(ctx)
	return err != nil && !errors.Is(err, errUntried)
}

// fuseProblem says why fuse-overlayfs cannot work, "" if it can.
func (h *Host) fuseProblem() string {
	if h.find("fuse-overlayfs") == "" {
		return "fuse-overlayfs is not installed"
	}
	if err := h.Kernel.Open("/dev/fuse"); err != nil {
		return "/dev/fuse: " + errOf(err)
	}
	return ""
}

func checkFuseOverlay(ctx context.Context, h *Host) Result {
	path := h.find("fuse-overlayfs")
	switch {
	case path != "":
		return h.program(ctx, path)
	case h.needsFuse(ctx):
		return warn("not installed").because("the kernel refuses overlay where the store is").
			asRoot("install_package fuse-overlayfs fuse-overlayfs fuse-overlayfs").mend("install the package fuse-overlayfs")
	}
	return skip("not installed, and not needed")
}

func checkFuse(ctx context.Context, h *Host) Result {
	err := h.Kernel.Open("/dev/fuse")
	switch {
	case err == nil:
		return ok("/dev/fuse can be opened")
	case !h.needsFuse(ctx):
		return skip("/dev/fuse: %s; not needed", errOf(err))
	}
	return deviceRemedy(warn("/dev/fuse: %s", errOf(err)), err, "/dev/fuse", "fuse", "10 229").
		because("fuse-overlayfs needs it")
}

// deviceRemedy makes a node there and open to all, now and at each boot.
func deviceRemedy(r Result, err error, node, module, number string) Result {
	name := strings.TrimPrefix(node, "/dev/")
	rule := fmt.Sprintf(`KERNEL=="%s", MODE="0666", OPTIONS+="static_node=%s"`, filepath.Base(node), name)
	r = r.asRoot("modprobe "+module+" || true",
		fmt.Sprintf("[ -c %s ] || { mkdir -p %s && mknod %s c %s; }", node, filepath.Dir(node), node, number),
		"chmod 0666 "+node,
		"mkdir -p /etc/udev/rules.d",
		fmt.Sprintf("printf '%%s\\n' %s >/etc/udev/rules.d/90-pod-%s.rules", shellword.Quote(rule), module))
	if errors.Is(err, fs.ErrPermission) {
		return r.mend("as root: chmod 0666 %s, and a udev rule for the next boot", node)
	}
	return r.mend("as root: modprobe %s; chmod 0666 %s", module, node)
}

func checkIDMap(ctx context.Context, h *Host) Result {
	if t := h.trial(ctx); t.Err != nil {
		return skip("cannot be tried without user namespaces")
	}
	dir := "/"
	if h.GraphRoot != "" {
		dir = h.existing(h.GraphRoot)
	}
	err := h.Kernel.Probe(ctx, "idmap", dir)
	var only *LimitedError
	switch {
	case err == nil:
		return ok("work, on %s too: for --userns nothing is copied", dir)
	case errors.As(err, &only):
		if h.UID == 0 {
			return ok("work on a tmpfs; on %s %s", dir, only.Reason)
		}
		copies := "copied"
		if h.Kernel.Reflinks(dir) {
			copies = "copied, sharing their data"
		}
		return ok("work on a tmpfs; on %s %s: for --userns the files of images are %s, once", dir, only.Reason, copies)
	case errors.Is(err, unix.ENOSYS):
		return skip("this kernel has none (Linux 5.12)")
	}
	return skip("the kernel refuses them: %s", errOf(err))
}

// LimitedError says that a probe worked in one place and not in another.
type LimitedError struct{ Reason string }

func (e *LimitedError) Error() string { return e.Reason }

func checkTun(_ context.Context, h *Host) Result {
	const node = "/dev/net/tun"
	if h.UID == 0 {
		return skip("root's networks do not need it")
	}
	err := h.Kernel.Open(node)
	if err == nil {
		return ok("%s can be opened", node)
	}
	return deviceRemedy(fail("%s: %s", node, errOf(err)), err, node, "tun", "10 200").
		because("pasta and slirp4netns cannot make a network without it; --network none and host work")
}

func checkPorts(_ context.Context, h *Host) Result {
	const name = "net.ipv4.ip_unprivileged_port_start"
	start := h.sysctl(name)
	switch {
	case start == "":
		return skip("this kernel has no %s", name)
	case h.UID == 0 || start == "0":
		return ok("all ports can be published")
	}
	return setSysctl(ok("ports from %s on can be published", start), "ports", name, "80").
		because("%s is %s: lower ports are for root", name, start).
		mend("to publish lower ones, as root: sysctl -w %s=80, and the same line in /etc/sysctl.d", name)
}

func has(list []string, word string) bool { return slices.Contains(list, word) }
