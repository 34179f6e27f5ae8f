package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// With systemd the containers of a user live below the delegated scope of his
// pause process: each in a cgroup of its own that the runtime makes by mkdir,
// without a request to systemd, and all their monitors in the child supervisor.
// Nothing of it ends with the session or the unit that pod was started in.
//
// A container with a cgroup parent of its own, and root's, get a scope each,
// pod-ID.scope, with the children supervisor and container.
//
// conmon is put there before it starts the runtime: a process of the session's
// cgroup could not be moved to the container's, since their common parent is
// root's.
const (
	supervisorCgroup = "supervisor"
	containerCgroup  = "container"
	// runtimeCgroup is where --cgroups=split moves pod itself, and payloadPrefix
	// begins the container's name beside it; both are the field's.
	runtimeCgroup = "runtime"
	payloadPrefix = "libpod-payload-"
	// scopeTimeout bounds the wait for systemd to move a process.
	scopeTimeout = 10 * time.Second
)

func scopeName(id string) string { return "pod-" + id + ".scope" }

// scopeCgroup is the cgroup of a container's scope, by systemd's rule that a
// slice a-b.slice is below a.slice (systemd.slice(5)).
func (e *Engine) scopeCgroup(id, slice string) string {
	path := "/"
	if e.Session.Rootless {
		path = userManagerCgroup(e.Session.HostUID)
	}
	base := strings.TrimSuffix(slice, ".slice")
	for i, r := range base {
		if r == '-' && i > 0 {
			path = filepath.Join(path, base[:i]+".slice")
		}
	}
	return filepath.Join(path, slice, scopeName(id))
}

func userManagerCgroup(uid int) string {
	return fmt.Sprintf("/user.slice/user-%d.slice/user@%d.service", uid, uid)
}

// scopeSlice is the slice of a container's scope.
func (e *Engine) scopeSlice(c *state.Container) string { return e.sliceOf(&c.Spec.Resources) }

func (e *Engine) sliceOf(r *specgen.Resources) string {
	switch parent := r.CgroupParent; {
	case parent != "":
		return filepath.Base(parent)
	case e.Session.Rootless:
		return "user.slice"
	}
	return "machine.slice"
}

// shared is the cgroup below which a container's is, if it shares a scope.
func (e *Engine) shared(c *state.Container) string {
	r := &c.Spec.Resources
	if r.CgroupParent != "" || r.Cgroups == cgroupsSplit || r.Cgroups == cgroupsNoConmon && !inPodCgroup(c) {
		return ""
	}
	return e.cgroupPlan().shared
}

// pauseScope is the cgroup of the pause process's scope, empty if it is in none.
func (e *Engine) pauseScope() string {
	if !e.Session.Rootless {
		return ""
	}
	pause, err := rootless.Pause(e.Session.RunBase)
	if err != nil || !pause.Alive() {
		return ""
	}
	path := strings.TrimSuffix(processCgroup(pause.PID), "/"+supervisorCgroup)
	if !strings.HasPrefix(path, userManagerCgroup(e.Session.HostUID)+"/") || !strings.HasPrefix(filepath.Base(path), "pod-pause-") {
		return ""
	}
	return path
}

// conmonPlace returns what puts the conmon of a container into its scope; nil
// without systemd.
func (e *Engine) conmonPlace(c *state.Container) func(ctx context.Context, pid int) error {
	switch {
	case c.Spec.Resources.Cgroups == cgroupsSplit:
		return func(ctx context.Context, pid int) error {
			return step.Do(ctx, "scope", func() error { return e.splitCgroup(pid) })
		}
	case e.cgroupPlan().manager != "systemd" || c.Spec.Resources.Cgroups == cgroupsDisabled || c.Spec.Resources.Cgroups == cgroupsNoConmon && !inPodCgroup(c):
		return nil
	}
	if e.staysInUnit(c) {
		return nil
	}
	return func(ctx context.Context, pid int) error {
		return step.Do(ctx, "scope", func() error {
			if home := e.shared(c); home != "" {
				return e.supervise(ctx, home, pid)
			}
			return e.place(ctx, c, pid)
		})
	}
}

// staysInUnit says whether conmon stays in the cgroup pod was started in: systemd
// listens to processes of a unit only, and takes none of another for its main one,
// or only if it trusts the PIDFile=.
// From below the user's manager the runtime can reach the container's cgroup
// all the same.
func (e *Engine) staysInUnit(c *state.Container) bool {
	wanted := c.Spec.Resources.Cgroups == "no-conmon" || e.notifySocket(c) != "" || e.Unit != "" && e.speaks(c)
	return wanted && e.Session.Rootless && e.inUserManager(e.cgroupPlan().own)
}

// placeHelper moves the program behind a container's network to where its conmon is.
// The manager kills what is left of a unit that ends, and a container that does not
// end with it would lose its network. A login session is left as it is: from there
// only the system's manager could move a process, which takes milliseconds.
func (e *Engine) placeHelper(ctx context.Context, c *state.Container, helper process.ID) error {
	own := e.cgroupPlan().own
	if !e.Session.Rootless || helper.PID == 0 || e.conmonPlace(c) == nil || c.Spec.Resources.Cgroups == cgroupsSplit || !e.inUserManager(own) {
		return nil
	}
	home := e.shared(c)
	if home == "" {
		home = e.scopeCgroup(c.ID, e.scopeSlice(c))
		if inPodCgroup(c) {
			home = e.scopeCgroup(c.Spec.Pod, e.scopeSlice(c))
		}
	}
	if strings.HasPrefix(processCgroup(helper.PID), home+"/") {
		return nil
	}
	return step.Do(ctx, "network.place", func() error { return e.supervise(ctx, home, helper.PID) })
}

// execPlace returns what puts the conmon of an exec session beside that of the
// container; nil if it can reach the container's cgroup from here.
func (e *Engine) execPlace(c *state.Container) func(ctx context.Context, pid int) error {
	noConmon := c.Spec.Resources.Cgroups == cgroupsNoConmon && !inPodCgroup(c)
	if (e.conmonPlace(c) == nil && !noConmon) || e.cgroupPlan().manager != "systemd" || !e.Session.Rootless || !e.inUserManager(c.Run.Cgroup) || e.inUserManager(e.cgroupPlan().own) {
		return nil
	}
	home := filepath.Dir(c.Run.Cgroup)
	if inPodCgroup(c) {
		home = filepath.Dir(home)
	}
	if shared := e.cgroupPlan().shared; noConmon && shared != "" {
		home = shared // the runtime's scope holds nothing of ours
	}
	return func(ctx context.Context, pid int) error {
		return step.Do(ctx, "scope", func() error { return e.supervise(ctx, home, pid) })
	}
}

// splitCgroup makes room for a container below pod's own cgroup: whoever is in there
// moves to a child of it, since only an empty cgroup can give its children
// controllers, and conmon to another one.
func (e *Engine) splitCgroup(conmon int) error {
	own := e.cgroupPlan().own
	for _, child := range []string{runtimeCgroup, supervisorCgroup} {
		if err := os.Mkdir(filepath.Join(cgroupRoot, own, child), 0o755); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // the mode of every cgroup
			return fmt.Errorf("split cgroup %s: %w", own, err)
		}
	}
	if err := moveTo(filepath.Join(own, supervisorCgroup), conmon); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(cgroupRoot, own, "cgroup.procs"))
	if err != nil {
		return fmt.Errorf("split cgroup %s: %w", own, err)
	}
	for word := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(word)
		if err != nil || pid == 0 { // 0: a process of another pid namespace
			continue
		}
		if err := moveTo(filepath.Join(own, runtimeCgroup), pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// managerOf is the cgroup manager of the runtime that creates a container.
func (e *Engine) managerOf(c *state.Container) string {
	switch plan := e.cgroupPlan(); {
	case c.Spec.Resources.Cgroups == cgroupsSplit:
		return ociruntime.CgroupFS
	case c.Spec.Resources.Cgroups == cgroupsNoConmon && plan.manager == "systemd" && !inPodCgroup(c):
		return ociruntime.CgroupSystemd
	default:
		return plan.runtimeManager()
	}
}

// checkCgroups refuses a start whose wish for a cgroup cannot be met here.
func (e *Engine) checkCgroups(c *state.Container) error {
	plan, r := e.cgroupPlan(), &c.Spec.Resources
	switch {
	case r.Cgroups == cgroupsSplit:
		if dir := filepath.Join(cgroupRoot, plan.own); !plan.v2 || unix.Access(dir, unix.W_OK) != nil || unix.Access(dir+"/cgroup.procs", unix.W_OK) != nil {
			return fmt.Errorf("--cgroups=split needs a cgroup that is delegated to you, and %s is not: start pod in a unit with Delegate=yes, as by systemd-run --user --scope -p Delegate=yes", plan.own)
		}
	case r.Cgroups == cgroupsNoConmon && plan.manager == "":
		return fmt.Errorf("--cgroups=no-conmon: no cgroup can be made: %s", plan.reason)
	case r.CgroupParent != "" && plan.manager == "systemd" && !strings.HasSuffix(r.CgroupParent, ".slice"):
		return fmt.Errorf("--cgroup-parent %s: did not receive systemd slice as cgroup parent when using systemd to manage cgroups: name one that ends with .slice", r.CgroupParent)
	case r.CgroupParent != "" && plan.manager == "":
		return fmt.Errorf("--cgroup-parent %s: no cgroup can be made: %s", r.CgroupParent, plan.reason)
	}
	return nil
}

// inUserManager says whether a cgroup is below that of the user's manager, so
// that the user can move processes to and fro there.
func (e *Engine) inUserManager(cgroup string) bool {
	return strings.HasPrefix(cgroup, userManagerCgroup(e.Session.HostUID)+"/")
}

// supervise moves a monitor into the child supervisor of a scope.
func (e *Engine) supervise(ctx context.Context, home string, pid int) error {
	supervisor := filepath.Join(home, supervisorCgroup)
	err := os.Mkdir(filepath.Join(cgroupRoot, supervisor), 0o755) //nolint:gosec // the mode of every cgroup
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make cgroup of monitors: %w", err)
	}
	if err == nil {
		// With a process in the scope's own cgroup its children could have no
		// controllers (cgroups(7), "no internal processes").
		if pause, err := rootless.Pause(e.Session.RunBase); err == nil && processCgroup(pause.PID) == home {
			if err := moveTo(supervisor, pause.PID); err != nil {
				return err
			}
		}
	}
	if e.inUserManager(e.cgroupPlan().own) {
		return moveTo(supervisor, pid)
	}
	below := strings.TrimPrefix(supervisor, userManagerCgroup(e.Session.HostUID))
	return scope.AttachToUser(ctx, e.Session.HostUID, below, pid)
}

// moveTo moves a process to a cgroup.
func moveTo(cgroup string, pid int) error {
	file := filepath.Join(cgroupRoot, cgroup, "cgroup.procs")
	if err := os.WriteFile(file, []byte(strconv.Itoa(pid)), 0); err != nil {
		return fmt.Errorf("move process %d to cgroup %s: %w", pid, cgroup, err)
	}
	return nil
}

func (e *Engine) systemd(ctx context.Context) (*scope.Conn, error) {
	manager, ok := scope.Find(e.Session.HostUID, e.Session.RunBase)
	if !ok {
		return nil, errors.New("systemd is gone")
	}
	return manager.Connect(ctx)
}

// place makes the scope of a container around its conmon.
func (e *Engine) place(ctx context.Context, c *state.Container, pid int) error {
	slice, id, what := e.scopeSlice(c), c.ID, "container "+c.Name
	if inPodCgroup(c) {
		id, what = c.Spec.Pod, "pod "+short(c.Spec.Pod)
	}
	want := e.scopeCgroup(id, slice)
	if !strings.HasPrefix(processCgroup(pid), want) {
		conn, err := e.systemd(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if err := startScope(ctx, conn, scope.Unit{
			Name: scopeName(id), Description: "pod " + what, Slice: slice, PID: pid, Delegate: true,
		}); err != nil {
			return err
		}
		if err := awaitCgroup(ctx, pid, want); err != nil {
			return err
		}
	}
	supervisor := filepath.Join(want, supervisorCgroup)
	if err := os.Mkdir(filepath.Join(cgroupRoot, supervisor), 0o755); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // as above
		return fmt.Errorf("make cgroup of the monitor: %w", err)
	}
	return moveTo(supervisor, pid)
}

// startScope makes the scope, or joins it if the end of the container's last
// run still holds it.
func startScope(ctx context.Context, conn *scope.Conn, u scope.Unit) error {
	deadline := time.Now().Add(scopeTimeout)
	for pause := time.Millisecond; ; pause *= 2 {
		err := conn.Start(ctx, u)
		if errors.Is(err, scope.ErrExists) {
			err = conn.Attach(ctx, u.Name, "/"+supervisorCgroup, u.PID)
			if errors.Is(err, scope.ErrGone) && time.Now().Before(deadline) {
				time.Sleep(pause) // systemd is about to forget it
				continue
			}
		}
		return err
	}
}

// awaitCgroup waits until systemd has moved a process below a cgroup.
func awaitCgroup(ctx context.Context, pid int, want string) error {
	deadline := time.Now().Add(scopeTimeout)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		now := processCgroup(pid)
		switch {
		case now == want || strings.HasPrefix(now, want+"/"):
			return nil
		case now == "":
			return errors.New("conmon ended before systemd made its scope")
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("systemd did not move conmon to %s: it is in %s", want, now)
		}
		time.Sleep(pause)
	}
}

// warmCgroups pays in advance, beside the steps before it, for the move of
// conmon to its cgroup. The first such move in a while waits for an RCU grace
// period, about 10 ms, with a lock that the next ones then get at once
// (cgroup_threadgroup_rwsem, rcu_sync); moving the pause process to where it is
// takes that lock and changes nothing.
func (e *Engine) warmCgroups() {
	plan := e.cgroupPlan()
	if plan.shared == "" {
		return
	}
	if pause, err := rootless.Pause(e.Session.RunBase); err == nil {
		if home := processCgroup(pause.PID); strings.HasPrefix(home, plan.shared) {
			_ = moveTo(home, pause.PID)
		}
	}
}
