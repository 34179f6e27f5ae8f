package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	osuser "os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/capability"
	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/accounts"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// descriptor is a column of top.
type descriptor struct {
	name, code, heading string
	value               func(v *view, p *proc) string
}

// descriptors are the columns, by the names and codes of ps(1) on AIX.
func descriptors() []descriptor {
	return []descriptor{
		{"args", "%a", "COMMAND", func(_ *view, p *proc) string { return commandOf(p) }},
		{"capamb", "", "AMBIENT CAPS", capColumn("CapAmb")},
		{"capbnd", "", "BOUNDING CAPS", capColumn("CapBnd")},
		{"capeff", "", "EFFECTIVE CAPS", capColumn("CapEff")},
		{"capinh", "", "INHERITED CAPS", capColumn("CapInh")},
		{"capprm", "", "PERMITTED CAPS", capColumn("CapPrm")},
		{"comm", "%c", "COMMAND", func(_ *view, p *proc) string { return p.comm }},
		{"etime", "%t", "ELAPSED", func(v *view, p *proc) string { return v.elapsed(p).String() }},
		{"group", "%G", "GROUP", func(v *view, p *proc) string { return v.groupName(p.at("Gid", 1)) }},
		{"groups", "", "GROUPS", func(v *view, p *proc) string { return each(p.status["Groups"], v.groupName) }},
		{"hgroup", "", "HGROUP", func(v *view, p *proc) string { return v.hostGroup(p.at("Gid", 1)) }},
		{"hgroups", "", "HGROUPS", func(v *view, p *proc) string { return each(p.status["Groups"], v.hostGroup) }},
		{"hpid", "", "HPID", func(_ *view, p *proc) string { return strconv.Itoa(p.pid) }},
		{"huser", "", "HUSER", func(v *view, p *proc) string { return v.hostUser(p.at("Uid", 1)) }},
		{"label", "", "LABEL", func(_ *view, p *proc) string { return orUnknown(p.label) }},
		{"nice", "%n", "NI", func(_ *view, p *proc) string { return p.nice }},
		{"pcpu", "%C", "%CPU", func(v *view, p *proc) string { return v.percent(p) }},
		{"pgid", "%r", "PGID", func(v *view, p *proc) string { return p.at("NSpgid", v.level) }},
		{"pid", "%p", "PID", func(v *view, p *proc) string { return p.at("NSpid", v.level) }},
		{"ppid", "%P", "PPID", func(v *view, p *proc) string { return v.parent(p) }},
		{"rgroup", "%g", "RGROUP", func(v *view, p *proc) string { return v.groupName(p.at("Gid", 0)) }},
		{"ruser", "%u", "RUSER", func(v *view, p *proc) string { return v.userName(p.at("Uid", 0)) }},
		{"seccomp", "", "SECCOMP", func(_ *view, p *proc) string { return seccompMode(p.at("Seccomp", 0)) }},
		{"state", "", "STATE", func(_ *view, p *proc) string { return p.state }},
		{"stime", "", "STIME", func(v *view, p *proc) string { return v.now.Add(-v.elapsed(p)).Format(time.ANSIC) }},
		{"time", "%x", "TIME", func(_ *view, p *proc) string { return ticks(p.ticks).String() }},
		{"tty", "%y", "TTY", func(_ *view, p *proc) string { return ttyName(p.tty) }},
		{"uid", "", "UID", func(v *view, p *proc) string { return v.uids.inner(p.at("Uid", 1)) }},
		{"user", "%U", "USER", func(v *view, p *proc) string { return v.userName(p.at("Uid", 1)) }},
		{"vsz", "%z", "VSZ", func(_ *view, p *proc) string { return strconv.FormatUint(p.vsize/1024, 10) }},
	}
}

// TopDescriptors lists the columns that Top knows.
func TopDescriptors() []string {
	var names []string
	for _, d := range descriptors() {
		names = append(names, d.name)
	}
	return names
}

// columns reads what the user asked for: descriptors, or arguments of ps(1).
// Nothing asks for the field's default.
func columns(wanted []string) ([]descriptor, error) {
	if len(wanted) > 0 && strings.HasPrefix(wanted[0], "-") {
		return psColumns(wanted)
	}
	chosen, err := described(wanted)
	if err != nil {
		if ps, psErr := psColumns(wanted); psErr == nil {
			return ps, nil // such as aux
		}
	}
	return chosen, err
}

func described(wanted []string) ([]descriptor, error) {
	var names []string
	for _, w := range wanted {
		for name := range strings.SplitSeq(w, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		names = []string{"user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"}
	}
	known := descriptors()
	chosen := make([]descriptor, 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(known, func(d descriptor) bool { return d.name == name || (d.code != "" && d.code == name) })
		if i < 0 {
			return nil, fmt.Errorf("%q is neither a descriptor nor an argument of ps(1): use %s", name, strings.Join(TopDescriptors(), ", "))
		}
		chosen = append(chosen, known[i])
	}
	return chosen, nil
}

// Top lists the processes of a container that runs, a row of headings first. It
// reads the host's /proc: nothing of the image is executed or believed, but for
// the names in its account files.
func (e *Engine) Top(ctx context.Context, nameOrID string, wanted []string) ([][]string, error) {
	chosen, err := columns(wanted)
	if err != nil {
		return nil, err
	}
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	switch status := e.status(c); status {
	case StatusRunning, StatusPaused, StatusStopping:
	default:
		return nil, fmt.Errorf("top can only be used on running containers: %s is %s: %w", c.Name, status, ErrStateImproper)
	}
	if runtime, err := e.runtime(c.Spec.Runtime); err == nil && runtime.IsSandbox() {
		return nil, fmt.Errorf("top: the processes of container %s are inside %s, where the host does not see them: use pod exec %s ps", c.Name, runtime.Name, c.Name)
	}
	v, list, err := e.look(c)
	if err != nil {
		if gone(err) {
			return nil, fmt.Errorf("top can only be used on running containers: %s has just ended: %w", c.Name, ErrStateImproper)
		}
		return nil, err
	}
	rows := make([][]string, 0, len(list)+1)
	var head []string
	for _, d := range chosen {
		head = append(head, d.heading)
	}
	rows = append(rows, head)
	for _, p := range list {
		row := make([]string, 0, len(chosen))
		for _, d := range chosen {
			row = append(row, d.value(v, p))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// view is how a container's processes look from inside.
type view struct {
	now    time.Time
	uptime uint64
	// level counts the pid namespaces between pod's and the container's.
	level int
	// uids and gids are the maps of the container's user namespace; hostUIDs and
	// hostGIDs those of pod's own.
	uids, gids, hostUIDs, hostGIDs idRanges
	users                          map[string]string
	groups                         map[string]string
	processes                      map[int]*proc
}

// look reads the processes of a container.
func (e *Engine) look(c *state.Container) (*view, []*proc, error) {
	init := c.Run.Init.PID
	list, err := processes(init, c.Spec.Spaces.PID != "host", c.Run.Cgroup)
	if err != nil {
		return nil, nil, err
	}
	v := &view{now: time.Now(), processes: map[int]*proc{}}
	for _, p := range list {
		v.processes[p.pid] = p
	}
	first := v.processes[init]
	if first == nil || !c.Run.Init.Alive() {
		return nil, nil, fmt.Errorf("process %d: %w", init, os.ErrNotExist)
	}
	v.level = len(first.status["NSpid"]) - 1
	if v.uptime, err = uptime(); err != nil {
		return nil, nil, err
	}
	for _, m := range []struct {
		to   *idRanges
		path string
	}{
		{&v.uids, fmt.Sprintf("/proc/%d/uid_map", init)},
		{&v.gids, fmt.Sprintf("/proc/%d/gid_map", init)},
		{&v.hostUIDs, "/proc/self/uid_map"},
		{&v.hostGIDs, "/proc/self/gid_map"},
	} {
		if *m.to, err = readRanges(m.path); err != nil {
			return nil, nil, err
		}
	}
	if e.ownUserNS(init) {
		v.uids, v.gids = nil, nil // the container has pod's: ids are as they are
	}
	v.users, v.groups = accountNames(fmt.Sprintf("/proc/%d/root", init))
	return v, list, nil
}

// ownUserNS says whether a process is in pod's own user namespace.
func (e *Engine) ownUserNS(pid int) bool {
	mine, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return false
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
	return err == nil && its == mine
}

// accountNames maps ids to names by the account files of a container. They are
// foreign input: what cannot be read names nobody.
func accountNames(root string) (users, groups map[string]string) {
	users, groups = map[string]string{}, map[string]string{}
	if data, err := accounts.Read(root, accounts.Passwd); err == nil {
		all, _ := user.ParsePasswdFilter(strings.NewReader(string(data)), nil)
		for _, u := range slices.Backward(all) { // the first of an id wins
			users[strconv.Itoa(u.Uid)] = u.Name
		}
	}
	if data, err := accounts.Read(root, accounts.Group); err == nil {
		all, _ := user.ParseGroupFilter(strings.NewReader(string(data)), nil)
		for _, g := range slices.Backward(all) {
			groups[strconv.Itoa(g.Gid)] = g.Name
		}
	}
	return users, groups
}

func (v *view) userName(id string) string {
	id = v.uids.inner(id)
	if name := v.users[id]; name != "" {
		return name
	}
	return id
}

func (v *view) groupName(id string) string {
	id = v.gids.inner(id)
	if name := v.groups[id]; name != "" {
		return name
	}
	return id
}

func (v *view) hostUser(id string) string {
	id = v.hostUIDs.outer(id)
	if u, err := osuser.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func (v *view) hostGroup(id string) string {
	id = v.hostGIDs.outer(id)
	if g, err := osuser.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// parent is the parent's pid as the container sees it: 0 for one outside.
func (v *view) parent(p *proc) string {
	if parent := v.processes[p.ppid]; parent != nil {
		return parent.at("NSpid", v.level)
	}
	return "0"
}

func (v *view) elapsed(p *proc) time.Duration { return ticks(v.uptime - min(p.start, v.uptime)) }

func (v *view) percent(p *proc) string {
	elapsed := v.elapsed(p).Seconds()
	if elapsed == 0 {
		return "0.000"
	}
	return strconv.FormatFloat(100*ticks(p.ticks).Seconds()/elapsed, 'f', 3, 64)
}

func ticks(n uint64) time.Duration { return time.Duration(n) * (time.Second / ticksPerSecond) } //nolint:gosec // fits

func commandOf(p *proc) string {
	if len(p.args) == 0 || p.args[0] == "" {
		return "[" + p.comm + "]"
	}
	return strings.Join(p.args, " ")
}

func orUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

func each(ids []string, name func(string) string) string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		names = append(names, name(id))
	}
	return strings.Join(names, ",")
}

func seccompMode(mode string) string {
	switch mode {
	case "0":
		return "disabled"
	case "1":
		return "strict"
	case "2":
		return "filter"
	}
	return "?"
}

// ttyName is the terminal of a device number; terminals in containers are pts.
func ttyName(device uint64) string {
	major, minor := unix.Major(device), unix.Minor(device)
	switch {
	case device == 0:
		return "?"
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", (major-136)<<8+minor)
	case major == 4 && minor < 64:
		return fmt.Sprintf("tty%d", minor)
	}
	return fmt.Sprintf("%d:%d", major, minor)
}

// capColumn shows a set of capabilities.
func capColumn(field string) func(*view, *proc) string {
	return func(_ *view, p *proc) string { return capNames(p.at(field, 0)) }
}

func capNames(hex string) string {
	mask, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		return "?"
	}
	known := capability.ListKnown()
	var names []string
	for _, c := range known {
		if mask&(1<<uint(c)) != 0 { //nolint:gosec // a small number
			names = append(names, strings.ToUpper(c.String()))
		}
	}
	switch len(names) {
	case 0:
		return "none"
	case len(known):
		return "full"
	}
	return strings.Join(names, ",")
}

// idRange is a line of a uid_map or gid_map.
type idRange struct{ inside, outside, size uint64 }

type idRanges []idRange

// inner translates an id of pod's namespace to one of the container's; no ranges
// mean that both have the same.
func (r idRanges) inner(id string) string {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil || len(r) == 0 {
		return id
	}
	for _, m := range r {
		if n >= m.outside && n-m.outside < m.size {
			return strconv.FormatUint(m.inside+n-m.outside, 10)
		}
	}
	return id
}

// outer is the other way round.
func (r idRanges) outer(id string) string {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return id
	}
	for _, m := range r {
		if n >= m.inside && n-m.inside < m.size {
			return strconv.FormatUint(m.outside+n-m.inside, 10)
		}
	}
	return id
}

func readRanges(path string) (idRanges, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read id map: %w", err)
	}
	var ranges idRanges
	for line := range strings.Lines(string(data)) {
		var m idRange
		if _, err := fmt.Sscan(line, &m.inside, &m.outside, &m.size); err != nil {
			return nil, errors.Join(fmt.Errorf("read id map %s", path), err)
		}
		ranges = append(ranges, m)
	}
	return ranges, nil
}
