package rootless

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// plan is one way to fill the id maps of a new user namespace.
type plan struct {
	uids, gids []Mapping
	// helpers: newuidmap and newgidmap write the maps; else we do.
	helpers bool
	// single: our gid is all we may map, and then setgroups must be given up.
	single bool
	// reduced is what the user is told when this plan is used.
	reduced string
}

// plans returns the ways to try, best first; the last is the single id, which
// the kernel allows everybody. Its reduced is filled by what went wrong before.
func plans(ctx context.Context, entry Entry) []plan {
	single := plan{uids: stack(entry.HostUID, nil), gids: stack(entry.HostGID, nil), single: true}
	if entry.HostUID == 0 {
		return []plan{wholePlan(), single} // root in a container may map all it has
	}
	sub := systemSubIDs()
	uids, gids, err := sub.ranges(ctx, entry.HostUID, entry.HostGID)
	name := userName(entry.HostUID)
	switch {
	case err != nil:
		single.reduced = singleReason(entry.HostUID, err.Error(), checkSubIDs)
	case len(uids) == 0 || len(gids) == 0:
		free := sub.freeRange()
		single.reduced = singleReason(entry.HostUID, fmt.Sprintf("%s has no sub-ids; as root: usermod --add-subuids %s --add-subgids %s %s", name, free, free, name), checkSubIDs)
	default:
		return []plan{{uids: stack(entry.HostUID, uids), gids: stack(entry.HostGID, gids), helpers: true}, single}
	}
	return []plan{single}
}

// wholePlan maps every id of the present namespace onto itself.
func wholePlan() plan {
	identical := func(path string) []Mapping {
		maps, err := readMap(path)
		if err != nil {
			return nil // the write of an empty map is refused, the next plan is tried
		}
		for i := range maps {
			maps[i].HostID = maps[i].ContainerID
		}
		return maps
	}
	return plan{uids: identical("/proc/self/uid_map"), gids: identical("/proc/self/gid_map")}
}

// Where a message sends its reader for more.
const (
	checkSubIDs    = "(pod doctor --check subids explains)"
	checkNewuidmap = "(pod doctor --check newuidmap explains)"
	checkUserns    = "(pod doctor --check userns explains)"
	checkAppArmor  = "(pod doctor --check apparmor explains)"
	checkRunDir    = "(pod doctor --check rundir explains)"
)

// singleReason is the line the user reads when only one id is mapped.
func singleReason(uid int, reason, check string) string {
	return fmt.Sprintf("containers have the one id of %s only, images with files of other users may not work: %s, then: pod system migrate %s", userName(uid), reason, check)
}

// apply fills the maps of the namespace that process pid is in.
func (p plan) apply(ctx context.Context, pid int) error {
	if p.helpers {
		done := make(chan error, 1)
		go func() { done <- runMapper(ctx, "newgidmap", pid, p.gids) }()
		err := runMapper(ctx, "newuidmap", pid, p.uids)
		if second := <-done; err == nil {
			err = second // one remedy for both is enough
		}
		return err
	}
	dir := "/proc/" + strconv.Itoa(pid)
	if p.single {
		if err := os.WriteFile(dir+"/setgroups", []byte("deny"), 0); err != nil {
			return fmt.Errorf("give up setgroups: %w", err)
		}
	}
	if err := os.WriteFile(dir+"/uid_map", []byte(mapText(p.uids)), 0); err != nil {
		return fmt.Errorf("map uids: %w", err)
	}
	if err := os.WriteFile(dir+"/gid_map", []byte(mapText(p.gids)), 0); err != nil {
		return fmt.Errorf("map gids: %w", err)
	}
	return nil
}

// runMapper runs newuidmap or newgidmap. Its error names the remedy.
func runMapper(ctx context.Context, name string, pid int, maps []Mapping) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s is not installed; as root: apt install uidmap", name)
	}
	cmd := exec.CommandContext(ctx, path, append([]string{strconv.Itoa(pid)}, mapArgs(maps)...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if why := powerless(path); why != "" {
		return errors.New(why)
	}
	return fmt.Errorf("%s: %s", name, bytes.TrimSpace(bytes.ReplaceAll(append(stderr.Bytes(), err.Error()...), []byte("\n"), []byte("; "))))
}

// powerless says why a mapper cannot have the rights it needs, or "".
func powerless(path string) string {
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && n == 1 {
		return fmt.Sprintf("no_new_privs is set on this process, so %s has no effect; start pod without it", path)
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Mode&unix.S_ISUID != 0 && st.Uid == 0 {
		return ""
	}
	if n, err := unix.Getxattr(path, "security.capability", nil); err == nil && n > 0 {
		return ""
	}
	return fmt.Sprintf("%s has neither its setuid bit nor file capabilities; as root: chmod u+s %s", path, path)
}
