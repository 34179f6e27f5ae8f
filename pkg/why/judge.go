package why

import (
	"fmt"
	"strings"
)

// judge finds the first step, from the one called first, at which the kernel
// refuses; nil if it does not.
func judge(steps []Step, first int, s *Subject, a Access) *Refusal {
	last := len(steps) - 1
	for i := first; i < len(steps); i++ {
		if steps[i].Interpreter != 0 {
			last = i
			break
		}
	}
	for i := first; i < last; i++ {
		if r := passing(steps, i, s); r != nil {
			return r
		}
	}
	if r := arriving(steps, last, s, a); r != nil {
		return r
	}
	if next := steps[last].Interpreter; next != 0 {
		if r := judge(steps, next, s, Exec); r != nil {
			r.Kind = "interpreter"
			r.Reason = fmt.Sprintf("%s needs the interpreter %s: %s", steps[last].Path, steps[len(steps)-1].Path, r.Reason)
			return r
		}
	}
	return nil
}

func refuse(steps []Step, i int, kind, format string, args ...any) *Refusal {
	return &Refusal{Component: steps[i].Path, Kind: kind, Reason: fmt.Sprintf(format, args...), step: i}
}

// passing judges a component on the way.
func passing(steps []Step, i int, s *Subject) *Refusal {
	st := &steps[i]
	switch st.Kind {
	case Directory:
		return permission(steps, i, s, Exec, "enter the directory")
	case Link:
		return following(steps, i, s)
	case Missing, Loop, Unmade, Hidden:
		return ended(steps, i)
	}
	return refuse(steps, i, "not-a-directory", "it is a %s, and the path goes on below it", st.Kind)
}

// following is the kernel's may_follow_link, with fs.protected_symlinks as all
// distributions set it.
func following(steps []Step, i int, s *Subject) *Refusal {
	st := &steps[i]
	if st.Parent < 0 {
		return nil
	}
	const stickyForAll = 0o1002
	dir := &steps[st.Parent]
	if dir.Mode&stickyForAll != stickyForAll || st.UID == s.UID && !st.NoUID || st.UID == dir.UID && st.NoUID == dir.NoUID {
		return nil
	}
	return refuse(steps, i, "sticky", "a link of %d in the sticky directory %s, which all may write to, is followed by its owner only (fs.protected_symlinks)",
		st.UID, dir.Path)
}

// ended says why a walk ends before its end.
func ended(steps []Step, i int) *Refusal {
	st := &steps[i]
	switch st.Kind {
	case Loop:
		return refuse(steps, i, "loop", "too many symbolic links")
	case Unmade:
		return refuse(steps, i, "stopped", "it is made when the container starts: start it and ask again")
	case Hidden:
		return refuse(steps, i, "hidden", "pod itself may not look at it (%s)", st.Where)
	}
	if from := leading(steps, i); from != nil {
		return refuse(steps, i, "missing", "it does not exist in the container: the link %s leads to %s, which is looked up inside of the container", from.Path, from.Target)
	}
	return refuse(steps, i, "missing", "it does not exist")
}

// leading is the absolute link that led to a step, if one did.
func leading(steps []Step, i int) *Step {
	for n := i - 1; n >= 0; n-- {
		if steps[n].Kind == Link && strings.HasPrefix(steps[n].Target, "/") {
			return &steps[n]
		}
	}
	return nil
}

// arriving judges the last component.
func arriving(steps []Step, i int, s *Subject, a Access) *Refusal {
	st := &steps[i]
	switch st.Kind {
	case Missing:
		if a&^Write != 0 || st.Parent < 0 || !st.Final {
			return ended(steps, i)
		}
		return changing(steps, st.Parent, s, "make files in the directory")
	case Loop, Unmade, Hidden:
		return ended(steps, i)
	case Link:
		return following(steps, i, s)
	case Directory:
		if a&Write != 0 {
			if r := changing(steps, i, s, "change the directory"); r != nil {
				return r
			}
		}
		return permission(steps, i, s, a, "use the directory")
	}
	switch {
	case a&Write != 0 && st.ReadOnly && st.Kind == File:
		return readOnly(steps, i)
	case a&Write != 0 && st.Immutable:
		return refuse(steps, i, "immutable", "the file is immutable: on the host, chattr -i")
	case a&Write != 0 && st.Append:
		return refuse(steps, i, "immutable", "the file can only be appended to: on the host, chattr -a")
	case st.Kind == Device && st.NoDev:
		return refuse(steps, i, "nodev", "devices have no effect on this mount (nodev): %s; --device gives it to the container", st.Where)
	}
	if r := permission(steps, i, s, a, strings.Join(a.Names(), " and ")+" it"); r != nil {
		return r
	}
	switch {
	case a&Exec != 0 && st.Kind != File:
		return refuse(steps, i, "mode", "it is a %s, no program", st.Kind)
	case a&Exec != 0 && st.NoExec:
		return refuse(steps, i, "noexec", "programs cannot be executed on this mount (noexec): %s", st.Where)
	}
	return nil
}

// changing judges making and removing files in a directory.
func changing(steps []Step, i int, s *Subject, what string) *Refusal {
	st := &steps[i]
	if r := permission(steps, i, s, Write|Exec, what); r != nil {
		return r
	}
	switch {
	case st.ReadOnly:
		return readOnly(steps, i)
	case st.Immutable:
		return refuse(steps, i, "immutable", "the directory is immutable: on the host, chattr -i")
	}
	return nil
}

func readOnly(steps []Step, i int) *Refusal {
	return refuse(steps, i, "read-only", "the file system is read-only: %s", steps[i].Where)
}

// permission is the kernel's generic_permission, and SELinux after it.
func permission(steps []Step, i int, s *Subject, want Access, what string) *Refusal {
	st := &steps[i]
	allowed, kind, reason := discretionary(st, s, want)
	if !allowed && !capable(st, s, want) {
		return refuse(steps, i, kind, "%d may not %s: %s%s", s.UID, what, reason, incapable(st, s))
	}
	if labelRefuses(s.Label, st.Label, want) {
		return refuse(steps, i, "label", "SELinux: %s may not use %s", s.Label, st.Label)
	}
	return nil
}

// discretionary is owner, ACL, group and others. The reason tells which of them
// decided.
func discretionary(st *Step, s *Subject, want Access) (allowed bool, kind, reason string) {
	mode := fmt.Sprintf("mode %s (%04o), owner %s", letters(st.Mode), st.Mode, st.Owner())
	has := func(shift int) bool { return Access(st.Mode>>shift)&want == want }
	if !st.NoUID && st.UID == s.UID {
		return has(6), "mode", mode + ": the bits of the owner decide"
	}
	if len(st.ACL) > 0 && st.Mode&0o070 != 0 {
		allowed, by := checkACL(st, s, want)
		return allowed, "acl", fmt.Sprintf("%s: the entry %s of its ACL decides", mode, by)
	}
	switch {
	case !st.NoGID && s.in(st.GID):
		return has(3), "mode", mode + ": the bits of the group decide"
	case s.KeepGroups && st.byGroup(want):
		return true, "", ""
	}
	return has(0), "mode", mode + ": the bits of others decide"
}

// byGroup says whether pod itself has the access by a group of the host's user:
// neither ownership nor a capability can have given it.
func (st *Step) byGroup(want Access) bool {
	return st.NoGID && st.NoUID && st.Self&want == want && Access(st.Mode>>3)&want == want
}

// capable is the kernel's capable_wrt_inode_uidgid and who asks it.
func capable(st *Step, s *Subject, want Access) bool {
	if st.NoUID || st.NoGID {
		return false
	}
	if st.Kind == Directory {
		return s.Override || s.Search && want&Write == 0
	}
	if s.Override && (want&Exec == 0 || st.Mode&0o111 != 0) {
		return true
	}
	return s.Search && want == Read
}

// incapable says why a capability does not help, where one would expect it to.
func incapable(st *Step, s *Subject) string {
	switch {
	case (st.NoUID || st.NoGID) && s.Override:
		return "; CAP_DAC_OVERRIDE does not help, since the owner is not mapped in the container"
	case st.NoUID || st.NoGID:
		return "; the owner is an id of the host that is not mapped in the container"
	case s.UID == 0 && !s.Override:
		return "; root without CAP_DAC_OVERRIDE is like any user"
	}
	return ""
}

// labelRefuses is the policy of containers in short: their processes use what is
// labelled for containers, and of that what has their own categories or none.
// Only the type and the categories of both are looked at.
func labelRefuses(process, file string, want Access) bool {
	p, f := strings.SplitN(process, ":", 4), strings.SplitN(file, ":", 4)
	if len(p) != 4 || len(f) != 4 || p[2] == "spc_t" || !strings.HasPrefix(p[2], "container") {
		return false
	}
	readable := []string{"container_file_t", "container_ro_file_t", "container_share_t", "usr_t", "lib_t", "bin_t", "proc_t", "sysfs_t", "devpts_t"}
	i := -1
	for n, t := range readable {
		if f[2] == t {
			i = n
		}
	}
	if i < 0 || want&Write != 0 && i > 0 {
		return true
	}
	if i > 0 {
		return false
	}
	_, has, _ := strings.Cut(f[3], ":")
	_, mine, _ := strings.Cut(p[3], ":")
	return has != "" && has != mine
}
