package rootless

import (
	"context"
	"strconv"
)

// Trial is what came of making the user's namespaces for a moment.
type Trial struct {
	// Err says why there can be none at all, with the remedy.
	Err error
	// UIDs and GIDs are the numbers of ids they had.
	UIDs, GIDs int
	// Hybrid: cgroup v2 could be put in the place of a hybrid layout.
	Hybrid bool
	// Reduced tells what was less than it could be, as in Session.
	Reduced []string
}

// Try makes the namespaces which Enter would make, looks at them and lets them
// go. Nothing is recorded, and a pause process that runs is left alone.
func Try(ctx context.Context, entry Entry) Trial {
	kind := wantedKind(entry)
	if kind == kindNone {
		return Trial{}
	}
	id, talk, err := makePause(ctx, kind, entry)
	if err != nil {
		return Trial{Err: err}
	}
	defer talk.close() // it was not told to stay
	t := Trial{Hybrid: id.Hybrid, Reduced: id.Reduced}
	t.UIDs, t.GIDs, t.Err = mapped(id.Process.PID)
	return t
}

// Kept describes the namespaces that a pause process keeps now: its pid and the
// number of ids they have; 0 if there is none.
func Kept(base string) (pid, ids int) {
	id, err := readIdentity(base)
	if err != nil || id.verify(id.Kind) != nil {
		return 0, 0
	}
	uids, _, err := mapped(id.Process.PID)
	if err != nil {
		return 0, 0
	}
	return id.Process.PID, uids
}

// mapped counts the ids of a process's user namespace.
func mapped(pid int) (uids, gids int, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	u, err := readMap(dir + "/uid_map")
	if err != nil {
		return 0, 0, err
	}
	g, err := readMap(dir + "/gid_map")
	return total(u), total(g), err
}
