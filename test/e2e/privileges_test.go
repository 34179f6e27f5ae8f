package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// lookScript shows what a process has. One shell can do it that has no commands of
// its own but these, and no pipe, since that would be a descriptor more.
const lookScript = `ls -l /proc/self/fd /proc/self/cwd
echo; echo @dev; ls /dev
echo; echo @status; cat /proc/self/status
echo @oom; cat /proc/self/oom_score_adj
echo @limits; cat /proc/self/limits
echo @env; cat /proc/self/environ
echo; echo @mounts; cat /proc/self/mountinfo`

// maskedPaths and readOnlyPaths are what the field masks and makes read-only.
func maskedPaths() []string {
	return []string{
		"/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/dev/block", "/sys/devices/virtual/powercap",
		"/sys/firmware", "/sys/fs/selinux",
	}
}

func readOnlyPaths() []string {
	return []string{"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// lookCommand is look FILE CMD... or look FILE: it runs CMD with a shell's arguments
// added that show what the process has, or takes what such a shell wrote into FILE,
// and writes that into FILE as a table that is the same on each host: ids, groups,
// capabilities, filters; descriptors; directory, mask, names of variables; what is
// masked or read-only of the paths this kernel has; devices and mounts, but for /out,
// which is the script's own. The command look alone writes that shell's script to
// look.sh.
func lookCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: look [FILE [COMMAND...]]")
	}
	if len(args) == 0 {
		ts.Check(os.WriteFile(ts.MkAbs("look.sh"), []byte(lookScript+"\n"), 0o644)) //nolint:gosec // any user of a container reads it
		return
	}
	var raw string
	if len(args) == 1 {
		raw = ts.ReadFile(args[0])
	} else {
		ts.Check(ts.Exec(args[1], append(slices.Clone(args[2:]), "sh", "-c", lookScript)...))
		raw = ts.ReadFile("stdout")
	}
	table, err := lookTable(raw)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(table), 0o600))
}

// system are mounts that open tells of, devices, and the script's own.
var system = regexp.MustCompile(`^(/proc/.*|/sys/.*|/out|/dev/(null|zero|full|random|urandom|tty|console|fuse|net/tun))$`)

var fdLine = regexp.MustCompile(`(\S+) -> (.*)$`)

func lookTable(raw string) (string, error) {
	section := map[string]string{}
	name := "fds"
	for line := range strings.Lines(raw) {
		if word, ok := strings.CutPrefix(strings.TrimSpace(line), "@"); ok && !strings.Contains(word, " ") {
			name = word
			continue
		}
		section[name] += line
	}
	var out strings.Builder
	for line := range strings.Lines(section["fds"]) {
		link := fdLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		switch {
		case link == nil:
		case link[1] == "/proc/self/cwd", link[1] == "cwd":
			fmt.Fprintf(&out, "cwd %s\n", link[2])
		case strings.HasPrefix(link[2], "/proc/") && strings.HasSuffix(link[2], "/fd"): // ls reads it
		case strings.Contains(section["fds"], " cwd -> ") && strings.HasPrefix(link[2], "anon_inode:[event"):
			// The ls of pod debug is a program in Go, and these are its own.
		default:
			fmt.Fprintf(&out, "fd %s %s\n", link[1], strings.TrimRight(link[2], "[]:0123456789"))
		}
	}
	self, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	lookStatus(&out, section["status"], string(self))
	// crun alone makes core, a link to what is masked.
	devices := slices.DeleteFunc(strings.Fields(section["dev"]), func(name string) bool { return name == "core" })
	slices.Sort(devices)
	fmt.Fprintf(&out, "devices %s\n", strings.Join(devices, " "))
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return "", err
	}
	before, err1 := strconv.Atoi(string(bytes.TrimSpace(own)))
	after, err2 := strconv.Atoi(strings.TrimSpace(section["oom"]))
	if err1 != nil || err2 != nil {
		return "", fmt.Errorf("no table: %s", raw)
	}
	fmt.Fprintf(&out, "oom_score_adj %+d\n", after-before)
	var names []string
	for pair := range strings.SplitSeq(strings.Trim(section["env"], "\x00\r\n"), "\x00") {
		variable, _, _ := strings.Cut(pair, "=")
		names = append(names, variable)
	}
	slices.Sort(names)
	fmt.Fprintf(&out, "env %s\n", strings.Join(names, " "))
	for line := range strings.Lines(section["limits"]) {
		if words := strings.Fields(line); len(words) > 4 && strings.HasPrefix(line, "Max core") {
			fmt.Fprintf(&out, "core %s\n", words[4])
		}
	}
	lookMounts(&out, section["mounts"])
	return out.String(), nil
}

// lookStatus calls all capabilities of this kernel "all", and what the test itself may
// have at most: in a namespace of one's own it is more.
func lookStatus(out *strings.Builder, status, own string) {
	wanted := []string{
		"Umask", "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
		"NoNewPrivs", "Seccomp", "Seccomp_filters",
	}
	var every string
	if last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(last))); err == nil {
			every = fmt.Sprintf("%016x", uint64(1)<<(n+1)-1)
		}
	}
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		if slices.Contains(wanted, key) {
			value = strings.Join(strings.Fields(value), " ")
			if strings.HasPrefix(key, "Cap") && (value == every || strings.Contains(own, "CapBnd:\t"+value)) {
				value = "all"
			}
			fmt.Fprintln(out, strings.TrimSpace(key+" "+value))
		}
	}
}

// lookMounts tells of the system's directories what is open that should not be, and
// of all others how they are mounted.
func lookMounts(out *strings.Builder, table string) {
	options, kind := map[string]string{}, map[string]string{}
	for line := range strings.Lines(table) {
		before, after, _ := strings.Cut(line, " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if len(fields) < 6 || len(types) == 0 {
			continue
		}
		options[fields[4]], kind[fields[4]] = fields[5], types[0]
	}
	above := func(path string, holds func(at string) bool) bool {
		for ; path != "/"; path = filepath.Dir(path) {
			if options[path] != "" {
				return holds(path)
			}
		}
		return false
	}
	open := func(title string, paths []string, closed func(at string) bool) {
		var missing []string
		there := 0
		for _, path := range paths {
			if _, err := os.Lstat(path); err != nil {
				continue
			}
			there++
			if !above(path, closed) {
				missing = append(missing, path)
			}
		}
		if there > 1 && len(missing) == there {
			missing = []string{"all"}
		}
		fmt.Fprintln(out, strings.Join(append([]string{title}, missing...), " "))
	}
	open("not masked:", maskedPaths(), func(at string) bool { return kind[at] == "tmpfs" || kind[at] == "devtmpfs" })
	open("writable:", append(readOnlyPaths(), "/sys", "/sys/fs/cgroup"), func(at string) bool {
		return slices.Contains(strings.Split(options[at], ","), "ro")
	})
	var rest []string
	for path := range options {
		if system.MatchString(path) {
			continue
		}
		var kept []string
		for option := range strings.SplitSeq(options[path], ",") {
			if slices.Contains([]string{"ro", "rw", "nosuid", "nodev", "noexec"}, option) {
				kept = append(kept, option)
			}
		}
		rest = append(rest, fmt.Sprintf("mount %s %s %s", path, strings.Join(kept, ","), kind[path]))
	}
	slices.Sort(rest)
	fmt.Fprintln(out, strings.Join(rest, "\n"))
}
