package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/shellword"
)

// wantedIDs is what an ordinary image needs, and what distributions give.
const wantedIDs = 65536

func userChecks() []Check {
	return []Check{
		{"userns", "user namespaces can be made, and the sysctls that forbid it", checkUserns},
		{"apparmor", "AppArmor's restriction of user namespaces (Ubuntu 23.10 and later)", checkAppArmor},
		{"subids", "ranges of sub-ids: missing, too few, overlapping", checkSubIDs},
		{"newuidmap", "newuidmap and newgidmap, and the rights they need", checkMappers},
		{"namespaces", "the namespaces that pod keeps are those it would make now", checkKept},
	}
}

const insideText = "pod is inside of its own namespaces: ask outside of `pod unshare`"

func checkUserns(ctx context.Context, h *Host) Result {
	if h.Inside {
		return skip(insideText)
	}
	limit := h.sysctl("user.max_user_namespaces")
	clone := h.sysctl("kernel.unprivileged_userns_clone")
	if h.UID == 0 && h.trial(ctx).Err == nil {
		return skip("root needs none")
	}
	err := h.trial(ctx).Err
	switch {
	case clone == "0":
		return setSysctl(fail("kernel.unprivileged_userns_clone is 0"), "userns", "kernel.unprivileged_userns_clone", "1").
			because("the kernel lets only root make user namespaces")
	case limit == "0":
		return setSysctl(fail("user.max_user_namespaces is 0"), "userns", "user.max_user_namespaces", "28633").
			because("the kernel makes no user namespaces at all")
	case err == nil:
		return ok("can be made (limit %s)", orElse(limit, "unknown"))
	case h.restricted():
		return fail("refused by AppArmor").because("%v", err).mend("see the check apparmor")
	case errors.Is(err, unix.ENOSPC):
		return setSysctl(fail("all %s are in use", limit), "userns", "user.max_user_namespaces", "28633").because("%v", err)
	}
	return fail("cannot be made").because("%v", err).mend("the cause names it; in a container, start that one with --privileged")
}

// setSysctl is the remedy of a kernel setting: now, and after the next boot.
func setSysctl(r Result, check, name, value string) Result {
	return r.asRoot(
		fmt.Sprintf("printf '%%s\\n' '%s = %s' >/etc/sysctl.d/90-pod-%s.conf", name, value, check),
		fmt.Sprintf("sysctl -q -w %s=%s", name, value)).
		mend("as root: sysctl -w %s=%s, and the same line in /etc/sysctl.d", name, value)
}

func (h *Host) restricted() bool {
	return h.sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1"
}

func checkAppArmor(ctx context.Context, h *Host) Result {
	switch {
	case h.sysctl("kernel.apparmor_restrict_unprivileged_userns") == "":
		return skip("this kernel has no such restriction")
	case !h.restricted():
		return ok("kernel.apparmor_restrict_unprivileged_userns is off")
	case h.UID == 0 || h.Inside:
		return skip("does not concern root")
	case h.trial(ctx).Err == nil:
		return ok("restricted, and %s is allowed to", h.Program)
	}
	profile := []string{
		"abi <abi/4.0>,", "include <tunables/global>",
		fmt.Sprintf("profile pod %q flags=(unconfined) {", h.Program), "  userns,", "  include if exists <local/pod>", "}",
	}
	words := make([]string, 0, len(profile))
	for _, line := range profile {
		words = append(words, shellword.Quote(line))
	}
	return fail("kernel.apparmor_restrict_unprivileged_userns is 1").
		because("a program without a profile gets no rights in its user namespaces, and %s has none", h.Program).
		asRoot("printf '%s\\n' "+strings.Join(words, " ")+" >/etc/apparmor.d/pod", "apparmor_parser -r /etc/apparmor.d/pod").
		mend("install a profile for %s: `pod doctor --fix` writes a script that does", h.Program)
}

// subRange is a line of /etc/subuid or /etc/subgid.
type subRange struct {
	owner        string
	start, count uint64
}

func (r subRange) end() uint64 { return r.start + r.count }

func (r subRange) overlaps(o subRange) bool { return r.start < o.end() && o.start < r.end() }

func (r subRange) String() string { return fmt.Sprintf("%s:%d:%d", r.owner, r.start, r.count) }

func parseSubRanges(text string) []subRange {
	var ranges []subRange
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 {
			continue
		}
		start, err1 := strconv.ParseUint(f[1], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 32)
		if err1 == nil && err2 == nil && count > 0 {
			ranges = append(ranges, subRange{f[0], start, count})
		}
	}
	return ranges
}

// idSource is the first word of nsswitch.conf's subid line.
func (h *Host) idSource() string {
	for line := range strings.Lines(h.word("/etc/nsswitch.conf")) {
		line, _, _ = strings.Cut(line, "#")
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), "subid:"); found {
			if f := strings.Fields(rest); len(f) > 0 {
				return f[0]
			}
		}
	}
	return "files"
}

func checkSubIDs(ctx context.Context, h *Host) Result {
	switch {
	case h.UID == 0:
		return skip("root needs none")
	case h.Inside:
		return skip(insideText)
	}
	if source := h.idSource(); source != "files" {
		t := h.trial(ctx)
		if t.Err == nil && t.UIDs < wantedIDs {
			return warn("%d ids from %s", t.UIDs, source).because("%s", orElse(strings.Join(t.Reduced, "; "), "images use ids up to 65535")).
				mend("ask the administrator of %s for a range of 65536", source)
		}
		return ok("%d ids from %s", t.UIDs, source)
	}
	uids, gids := parseSubRanges(h.word("/etc/subuid")), parseSubRanges(h.word("/etc/subgid"))
	for _, file := range []struct {
		path   string
		ranges []subRange
	}{{"/etc/subuid", uids}, {"/etc/subgid", gids}} {
		if r := h.checkRanges(file.path, file.ranges); r != nil {
			return *r
		}
	}
	myUIDs, myGIDs := h.count(uids), h.count(gids)
	free := freeRange(uids, gids)
	add := func(r Result) Result {
		user := shellword.Quote(h.User)
		first, _, _ := strings.Cut(free, "-")
		var commands []string
		for _, f := range []struct {
			path, option string
			have         uint64
		}{{"/etc/subuid", "--add-subuids", myUIDs}, {"/etc/subgid", "--add-subgids", myGIDs}} {
			if f.have < wantedIDs {
				line := fmt.Sprintf("%s:%s:%d", h.User, first, wantedIDs)
				commands = append(commands, fmt.Sprintf("grep -qsx %s %s || usermod %s %s %s", shellword.Quote(line), f.path, f.option, free, user))
			}
		}
		return r.asRoot(commands...).
			mend("as root: usermod --add-subuids %s --add-subgids %s %s; then: pod system migrate", free, free, h.User)
	}
	switch {
	case myUIDs == 0 || myGIDs == 0:
		return add(warn("%s has none", h.User)).because("containers have the one id of %s only; images with files of other users may not work", h.User)
	case myUIDs < wantedIDs || myGIDs < wantedIDs:
		return add(warn("%s has %d uids and %d gids", h.User, myUIDs, myGIDs)).because("images use ids up to 65535")
	}
	return ok("%d uids and %d gids", myUIDs, myGIDs)
}

// mine are the ranges of the user, by name or by number.
func (h *Host) mine(r subRange) bool { return r.owner == h.User || r.owner == strconv.Itoa(h.UID) }

func (h *Host) count(ranges []subRange) uint64 {
	var n uint64
	for _, r := range ranges {
		if h.mine(r) {
			n += r.count
		}
	}
	return n
}

// checkRanges looks for ranges of the user that are not his alone: the other
// user could then write into his containers, or he into the other's files.
func (h *Host) checkRanges(path string, ranges []subRange) *Result {
	accounts := h.accounts(path)
	for i, r := range ranges {
		if !h.mine(r) {
			continue
		}
		for j, o := range ranges {
			if i == j || !r.overlaps(o) || h.mine(o) && j < i {
				continue
			}
			bad := fail("%s of %s overlaps %s", r, path, o)
			if h.mine(o) {
				bad.Status = Warn
				bad = bad.because("only the first of the two can be used")
			} else {
				bad = bad.because("the containers of %s and of %s could write each other's files", h.User, o.owner)
			}
			bad = bad.mend("as root: give %s another range in %s and chown what is in the first one; then: pod system migrate", h.User, path)
			return &bad
		}
		for _, a := range accounts {
			if a.start >= r.start && a.start < r.end() {
				bad := fail("%s of %s holds the id %d of %s", r, path, a.start, a.owner).
					because("containers of %s could have the rights of %s", h.User, a.owner).
					mend("as root: give %s a range in %s that holds no account; then: pod system migrate", h.User, path)
				return &bad
			}
		}
	}
	return nil
}

// accounts are the ids of the host's own accounts.
func (h *Host) accounts(subFile string) []subRange {
	file := "/etc/passwd"
	if strings.HasSuffix(subFile, "subgid") {
		file = "/etc/group"
	}
	var ids []subRange
	for line := range strings.Lines(h.word(file)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 3 {
			continue
		}
		if id, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			ids = append(ids, subRange{f[0], id, 1})
		}
	}
	return ids
}

// freeRange proposes 65536 sub-ids that nobody has.
func freeRange(lists ...[]subRange) string {
	start := uint64(100000)
	for _, list := range lists {
		for _, r := range list {
			start = max(start, r.end())
		}
	}
	return fmt.Sprintf("%d-%d", start, start+wantedIDs-1)
}

func checkMappers(ctx context.Context, h *Host) Result {
	switch {
	case h.UID == 0:
		return skip("root needs none")
	case h.Inside:
		return skip(insideText)
	}
	for _, name := range []string{"newuidmap", "newgidmap"} {
		path := h.find(name)
		if path == "" {
			return warn("%s is not installed", name).because("sub-ids cannot be used without it: containers have one id only").
				asRoot("install_package uidmap shadow-utils shadow").mend("as root: apt install uidmap (Debian), or the package shadow or shadow-utils elsewhere; then: pod system migrate")
		}
		if r := h.checkMapper(path); r != nil {
			return *r
		}
	}
	if h.Kernel.NoNewPrivs() {
		return warn("no_new_privs is set on this process").because("setuid programs have no effect, so sub-ids cannot be used").
			mend("start pod without it: not from a container, a unit with NoNewPrivileges or a sandbox")
	}
	t := h.trial(ctx)
	if t.Err == nil && t.UIDs == 1 && h.count(parseSubRanges(h.word("/etc/subuid"))) > 0 && len(t.Reduced) > 0 {
		return warn("installed, but the ids could not be mapped").because("%s", t.Reduced[0]).mend("the cause names it")
	}
	return ok("%s", h.find("newuidmap"))
}

// checkMapper says what keeps a mapper from its rights; nil if nothing does.
func (h *Host) checkMapper(path string) *Result {
	st, err := h.Kernel.Stat(path)
	setuid := err == nil && st.Mode&unix.S_ISUID != 0 && st.UID == 0
	var bad Result
	fsInfo, fsErr := h.Kernel.Statfs(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		bad = warn("%s cannot be looked at", path).because("%v", err).mend("as root: chmod 4755 %s", path)
	case !setuid && !h.Kernel.FileCaps(path):
		bad = warn("%s has neither its setuid bit nor file capabilities", path).
			because("it may map no sub-ids then: containers have one id only").
			asRoot("chown root:root "+shellword.Quote(path), "chmod u+s "+shellword.Quote(path)).mend("as root: chmod u+s %s; then: pod system migrate", path)
	case fsErr == nil && has(fsInfo.Flags, "nosuid"):
		bad = warn("%s is on a file system mounted nosuid", path).
			because("its setuid bit has no effect: containers have one id only").
			mend("as root: mount -o remount,suid the file system of %s; then: pod system migrate", path)
	default:
		return nil
	}
	return &bad
}

func checkKept(ctx context.Context, h *Host) Result {
	if h.UID == 0 {
		return skip("root needs none")
	}
	ids, others := h.Kernel.Kept()
	switch {
	case ids == 0:
		return skip("none are kept yet")
	case h.Inside:
		return skip(insideText)
	}
	t := h.trial(ctx)
	if t.Err != nil || t.UIDs == ids {
		return ok("kept, with %d ids", ids)
	}
	r := warn("kept with %d ids, new ones would have %d", ids, t.UIDs).
		because("they were made before the sub-ids of today").
		mend("pod system migrate (it stops the running containers)")
	if others == 0 {
		r.Fix = &Fix{Commands: []string{shellword.Quote(h.Program) + " system migrate"}}
	}
	return r
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
