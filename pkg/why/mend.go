package why

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/shellword"
)

// candidate is a change of flags and what it does to the facts.
type candidate struct {
	Remedy
	apply func(steps []Step, s *Subject)
}

// mend returns the changes after which the walk would be allowed, those that
// give least first. None is proposed that was not judged; if no single one is
// enough, pairs are tried.
func (t *Tree) mend(steps []Step, s *Subject, a Access, r *Refusal) []Remedy {
	if r.Kind == "missing" {
		return t.mendMissing(steps, r)
	}
	all := t.candidates(steps, s, r)
	works := func(chosen ...candidate) *Refusal {
		changed, subject := slices.Clone(steps), *s
		for _, c := range chosen {
			c.apply(changed, &subject)
		}
		return judge(changed, 0, &subject, a)
	}
	var remedies []Remedy
	var next []candidate
	for _, c := range all {
		left := works(c)
		if left == nil {
			remedies = append(remedies, c.Remedy)
			continue
		}
		if left.step > r.step || left.step == r.step && left.Kind != r.Kind {
			for _, second := range t.candidates(steps, s, left) {
				if works(c, second) == nil && second.Remedy != c.Remedy {
					next = append(next, candidate{Remedy: join(c.Remedy, second.Remedy)})
					break
				}
			}
		}
	}
	if len(remedies) == 0 {
		for _, c := range next {
			remedies = append(remedies, c.Remedy)
		}
	}
	return remedies
}

func join(a, b Remedy) Remedy {
	both := func(x, y string) string { return strings.TrimSpace(x + " " + y) }
	return Remedy{Add: both(a.Add, b.Add), Remove: both(a.Remove, b.Remove), Why: a.Why + "; " + b.Why}
}

// mendMissing proposes what a link to the host asks for.
func (t *Tree) mendMissing(steps []Step, r *Refusal) []Remedy {
	from := leading(steps, r.step)
	if from == nil || unix.Access(from.Target, unix.F_OK) != nil {
		return nil
	}
	return []Remedy{{
		Add: "-v " + shellword.Quote(from.Target+":"+from.Target),
		Why: fmt.Sprintf("%s is there on the host, and the container gets it", from.Target),
	}}
}

func (t *Tree) candidates(steps []Step, s *Subject, r *Refusal) []candidate {
	st := steps[r.step]
	var all []candidate
	if st.Mount >= 0 {
		all = append(all, t.ofMount(st.Mount)...)
	} else if t.ReadOnly && st.Where == rootFS {
		all = append(all, candidate{
			Remedy{Remove: "--read-only", Why: "the root file system can then be written to"},
			func(steps []Step, _ *Subject) {
				for i := range steps {
					steps[i].ReadOnly = steps[i].ReadOnly && (steps[i].Mount >= 0 || steps[i].Where != rootFS)
				}
			},
		})
	}
	if st.Mount < 0 && st.ReadOnly && (st.Where == "proc" || st.Where == "sysfs") {
		all = append(all, candidate{
			Remedy{Add: "--security-opt unmask=" + shellword.Quote(st.Path), Why: "it is kept from containers for safety"},
			func(steps []Step, _ *Subject) { steps[r.step].ReadOnly = false },
		})
	}
	all = append(all, t.ofGroups(&st, s)...)
	all = append(all, t.ofIDs(&st, s)...)
	all = append(all, t.ofUser(&st, s)...)
	if !s.Override {
		all = append(all, candidate{
			Remedy{Add: "--cap-add DAC_OVERRIDE", Why: "the process may then pass over modes and ACLs of all files with mapped owners"},
			func(_ []Step, s *Subject) { s.Override = true },
		})
	}
	return all
}

// ofMount are changes of a mount's options.
func (t *Tree) ofMount(index int) []candidate {
	m := &t.Mounts[index]
	on := func(change func(*Step)) func([]Step, *Subject) {
		return func(steps []Step, _ *Subject) {
			for i := range steps {
				if steps[i].Mount == index {
					change(&steps[i])
				}
			}
		}
	}
	var all []candidate
	if m.ReadOnly {
		all = append(all, candidate{
			Remedy{Remove: m.flag(""), Add: m.flag("", "ro", "readonly"), Why: "the mount can then be written to"},
			on(func(st *Step) { st.ReadOnly = false }),
		})
	}
	if slices.Contains(m.Options, "noexec") || m.Type == "tmpfs" {
		all = append(all, candidate{
			Remedy{Remove: m.flag(""), Add: m.flag("exec", "noexec"), Why: "programs on the mount can then be executed"},
			on(func(st *Step) { st.NoExec = false }),
		})
	}
	if m.Type == "bind" {
		all = append(all, candidate{
			Remedy{Remove: m.flag(""), Add: m.flag("z"), Why: "SELinux then labels the files for containers"},
			on(func(st *Step) { st.Label = "" }),
		})
	}
	return all
}

// ofGroups are further groups for the process.
func (t *Tree) ofGroups(st *Step, s *Subject) []candidate {
	var all []candidate
	if !st.NoGID && !s.in(st.GID) {
		gid := st.GID
		all = append(all, candidate{
			Remedy{Add: fmt.Sprintf("--group-add %d", gid), Why: fmt.Sprintf("the process is then in the group %d of %s", gid, st.Path)},
			func(_ []Step, s *Subject) { s.Groups = append(slices.Clone(s.Groups), gid) },
		})
	}
	if !s.KeepGroups && st.NoGID {
		all = append(all, candidate{
			Remedy{Add: "--group-add keep-groups", Why: "the process then keeps your groups of the host, one of which may"},
			func(_ []Step, s *Subject) { s.KeepGroups = true },
		})
	}
	return all
}

// ofIDs are other owners: by another user namespace, or by chown.
func (t *Tree) ofIDs(st *Step, s *Subject) []candidate {
	if st.Mount < 0 || t.Mounts[st.Mount].Dir == "" && t.Mounts[st.Mount].Type == "tmpfs" {
		return nil
	}
	var all []candidate
	if t.Rootless && len(t.Maps.UID) == 0 && s.UID != 0 && st.UID == 0 && !st.NoUID {
		flag := fmt.Sprintf("--userns keep-id:uid=%d,gid=%d", s.UID, s.GID)
		if s.UID == t.UserUID && s.GID == t.UserGID {
			flag = "--userns keep-id"
		}
		uid, gid := s.UID, s.GID
		all = append(all, candidate{
			Remedy{Add: flag, Why: fmt.Sprintf("%d in the container is then you, and your files are its", uid)},
			func(steps []Step, _ *Subject) {
				for i := range steps {
					if steps[i].Mount >= 0 { // the image is laid out for the new ids
						steps[i].UID, steps[i].GID = kept(uid, steps[i].UID), kept(gid, steps[i].GID)
					}
				}
			},
		})
	}
	m, index := &t.Mounts[st.Mount], st.Mount
	if m.NoChown || st.NoUID || m.Type == "tmpfs" {
		return all
	}
	return append(all, candidate{
		Remedy{
			Remove: m.flag(""), Add: m.flag("U"),
			Why: fmt.Sprintf("all in %s is then given to %d (a change on the host)", m.Source, s.UID),
		},
		func(steps []Step, s *Subject) {
			for i := range steps {
				if steps[i].Mount == index && !steps[i].NoUID {
					steps[i].UID, steps[i].GID = s.UID, s.GID
				}
			}
		},
	})
}

// kept is what the container sees of an id of pod's namespace when its own id n
// is the user, who is 0 there.
func kept(n, id uint32) uint32 {
	switch {
	case id == 0:
		return n
	case id-1 < n:
		return id - 1
	}
	return id
}

// ofUser is another user for the process.
func (t *Tree) ofUser(st *Step, s *Subject) []candidate {
	if st.NoUID || st.UID == s.UID {
		return nil
	}
	uid := st.UID
	return []candidate{{
		Remedy{Add: fmt.Sprintf("--user %d", uid), Why: fmt.Sprintf("the process is then the owner of %s", st.Path)},
		func(_ []Step, s *Subject) {
			s.UID, s.GID, s.Groups = uid, 0, nil // without an account the group is 0
			s.Override, s.Search = uid == 0 && t.RootOverride, false
		},
	}}
}
