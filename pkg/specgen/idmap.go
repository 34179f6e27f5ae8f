package specgen

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// idRule is one --uidmap or --gidmap.
type idRule struct {
	inside, from, size uint64
	// host: from is an id of the host, not of the namespace pod runs in.
	host bool
	// extend lays the rule over those before it; the ids that are left are given
	// out in order.
	extend bool
	// uid and gid say what it is for; neither means the flag's own.
	uid, gid bool
}

// parseIDRule reads [+ug]INSIDE:[@]FROM[:SIZE].
func parseIDRule(kind, s string) (idRule, error) {
	malformed := fmt.Errorf("%s setting is malformed expected [\"[+ug]uint32:[@]uint32[:uint32]\"] : [%q]", kind, s)
	rest := strings.TrimLeft(s, "+ug")
	flags := s[:len(s)-len(rest)]
	rule := idRule{extend: strings.Contains(flags, "+"), uid: strings.Contains(flags, "u"), gid: strings.Contains(flags, "g"), size: 1}
	parts := strings.Split(rest, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return rule, malformed
	}
	parts[1], rule.host = strings.CutPrefix(parts[1], "@")
	for i, to := range []*uint64{&rule.inside, &rule.from, &rule.size}[:len(parts)] {
		n, err := strconv.ParseUint(parts[i], 10, 32)
		if err != nil {
			return rule, malformed
		}
		*to = n
	}
	if rule.size == 0 {
		return rule, fmt.Errorf("%s mapping %q: the amount must be at least 1", kind, s)
	}
	if rule.inside+rule.size > math.MaxUint32 || rule.from+rule.size > math.MaxUint32 {
		return rule, fmt.Errorf("%s mapping %q: ids end at %d", kind, s, uint32(math.MaxUint32)-1)
	}
	return rule, nil
}

// IDMaps are the maps of --uidmap and --gidmap. outerUIDs and outerGIDs are the
// ids pod has itself: what they are inside its namespace, and on the host. With
// one of the two lists only, it counts for both.
func IDMaps(uidmap, gidmap []string, outerUIDs, outerGIDs []rspec.LinuxIDMapping) (uids, gids []rspec.LinuxIDMapping, err error) {
	if len(gidmap) == 0 {
		gidmap = uidmap
	}
	if len(uidmap) == 0 {
		uidmap = gidmap
	}
	if uids, err = idMap("UID", uidmap, outerUIDs); err != nil {
		return nil, nil, err
	}
	gids, err = idMap("GID", gidmap, outerGIDs)
	return uids, gids, err
}

// idMap carries out the rules that are for one kind of ids; without any, the map
// is the outer namespace's own.
func idMap(kind string, words []string, outer []rspec.LinuxIDMapping) ([]rspec.LinuxIDMapping, error) {
	var maps []rspec.LinuxIDMapping
	fill := true
	for _, word := range words {
		rule, err := parseIDRule(kind, word)
		if err != nil {
			return nil, err
		}
		if (rule.uid || rule.gid) && (kind == "UID" && !rule.uid || kind == "GID" && !rule.gid) {
			continue
		}
		pieces, err := rule.pieces(kind, outer)
		if err != nil {
			return nil, err
		}
		if !rule.extend {
			fill = false
			maps = append(maps, pieces...)
			continue
		}
		for _, p := range pieces {
			maps = append(without(maps, p), p)
		}
	}
	if fill {
		maps = fillMap(maps, outer)
	}
	slices.SortFunc(maps, func(a, b rspec.LinuxIDMapping) int { return int(int64(a.ContainerID) - int64(b.ContainerID)) })
	maps = joined(maps)
	if err := checkMap(maps, outer); err != nil {
		return nil, err
	}
	return SplitIDMap(maps, outer), nil
}

// SplitIDMap cuts mappings where a range of the outer namespace ends: the kernel
// takes none that lies in two of them.
func SplitIDMap(maps, outer []rspec.LinuxIDMapping) []rspec.LinuxIDMapping {
	var out []rspec.LinuxIDMapping
	for _, m := range maps {
		for m.Size > 0 {
			n := m.Size
			for _, o := range outer {
				if m.HostID >= o.ContainerID && m.HostID-o.ContainerID < o.Size {
					n = min(n, o.Size-(m.HostID-o.ContainerID))
				}
			}
			out = append(out, rspec.LinuxIDMapping{ContainerID: m.ContainerID, HostID: m.HostID, Size: n})
			m.ContainerID, m.HostID, m.Size = m.ContainerID+n, m.HostID+n, m.Size-n
		}
	}
	return out
}

// pieces are the rule's mappings into the outer namespace: one, or several where
// a range of the host's lies in several ranges of it.
func (r idRule) pieces(kind string, outer []rspec.LinuxIDMapping) ([]rspec.LinuxIDMapping, error) {
	if !r.host {
		return []rspec.LinuxIDMapping{{ContainerID: uint32(r.inside), HostID: uint32(r.from), Size: uint32(r.size)}}, nil
	}
	var pieces []rspec.LinuxIDMapping
	for done := uint64(0); done < r.size; {
		at := r.from + done
		i := slices.IndexFunc(outer, func(m rspec.LinuxIDMapping) bool {
			return at >= uint64(m.HostID) && at-uint64(m.HostID) < uint64(m.Size)
		})
		if i < 0 {
			return nil, fmt.Errorf("parent ID %s %d is not mapped/delegated: give it to the user in /etc/sub%s, or choose another", kind, at, strings.ToLower(kind))
		}
		offset := at - uint64(outer[i].HostID)
		n := min(r.size-done, uint64(outer[i].Size)-offset)
		pieces = append(pieces, rspec.LinuxIDMapping{
			ContainerID: uint32(r.inside + done), HostID: outer[i].ContainerID + uint32(offset), Size: uint32(n),
		})
		done += n
	}
	return pieces, nil
}

// without cuts out of maps what collides with p, inside or outside.
func without(maps []rspec.LinuxIDMapping, p rspec.LinuxIDMapping) []rspec.LinuxIDMapping {
	cut := func(maps []rspec.LinuxIDMapping, first, size uint32, at func(rspec.LinuxIDMapping) uint32) []rspec.LinuxIDMapping {
		var out []rspec.LinuxIDMapping
		for _, m := range maps {
			begin, end := uint64(at(m)), uint64(at(m))+uint64(m.Size)
			from, to := max(begin, uint64(first)), min(end, uint64(first)+uint64(size))
			if from >= to {
				out = append(out, m)
				continue
			}
			if from > begin {
				out = append(out, rspec.LinuxIDMapping{ContainerID: m.ContainerID, HostID: m.HostID, Size: uint32(from - begin)})
			}
			if to < end {
				skip := uint32(to - begin)
				out = append(out, rspec.LinuxIDMapping{ContainerID: m.ContainerID + skip, HostID: m.HostID + skip, Size: uint32(end - to)})
			}
		}
		return out
	}
	maps = cut(maps, p.ContainerID, p.Size, func(m rspec.LinuxIDMapping) uint32 { return m.ContainerID })
	return cut(maps, p.HostID, p.Size, func(m rspec.LinuxIDMapping) uint32 { return m.HostID })
}

// fillMap gives the outer ids that are left, in order, to the ids inside that
// are left.
func fillMap(maps, outer []rspec.LinuxIDMapping) []rspec.LinuxIDMapping {
	var free []rspec.LinuxIDMapping // as mappings of an outer id onto itself
	for _, o := range outer {
		free = append(free, rspec.LinuxIDMapping{ContainerID: o.ContainerID, HostID: o.ContainerID, Size: o.Size})
	}
	slices.SortFunc(free, func(a, b rspec.LinuxIDMapping) int { return int(int64(a.HostID) - int64(b.HostID)) })
	for _, m := range maps {
		free = without(free, rspec.LinuxIDMapping{ContainerID: m.HostID, HostID: m.HostID, Size: m.Size})
	}
	taken := slices.Clone(maps)
	slices.SortFunc(taken, func(a, b rspec.LinuxIDMapping) int { return int(int64(a.ContainerID) - int64(b.ContainerID)) })
	inside := uint64(0)
	for _, f := range free {
		for used := uint32(0); used < f.Size; {
			room := uint64(math.MaxUint32) - inside
			for len(taken) > 0 {
				if next := uint64(taken[0].ContainerID); next > inside {
					room = next - inside
					break
				}
				inside = max(inside, uint64(taken[0].ContainerID)+uint64(taken[0].Size))
				room = uint64(math.MaxUint32) - inside
				taken = taken[1:]
			}
			if inside >= math.MaxUint32 || room == 0 {
				return maps
			}
			n := uint32(min(room, uint64(f.Size-used)))
			maps = append(maps, rspec.LinuxIDMapping{ContainerID: uint32(inside), HostID: f.HostID + used, Size: n})
			inside, used = inside+uint64(n), used+n
		}
	}
	return maps
}

// joined puts neighbours of a sorted map together: the kernel takes 340 lines.
func joined(maps []rspec.LinuxIDMapping) []rspec.LinuxIDMapping {
	var out []rspec.LinuxIDMapping
	for _, m := range maps {
		if n := len(out); n > 0 && out[n-1].ContainerID+out[n-1].Size == m.ContainerID && out[n-1].HostID+out[n-1].Size == m.HostID {
			out[n-1].Size += m.Size
			continue
		}
		out = append(out, m)
	}
	return out
}

// checkMap refuses what the kernel would: an id twice, or one pod does not have.
func checkMap(maps, outer []rspec.LinuxIDMapping) error {
	if len(maps) == 0 {
		return errors.New("must provide at least one UID or GID mapping to configure a user namespace")
	}
	if len(maps) > 340 {
		return fmt.Errorf("a user namespace takes 340 mappings, not %d", len(maps))
	}
	for i, m := range maps {
		for _, other := range maps[:i] {
			if overlap(m.ContainerID, other.ContainerID, m.Size, other.Size) || overlap(m.HostID, other.HostID, m.Size, other.Size) {
				return fmt.Errorf("the specified UID and/or GID mapping %d:%d:%d conflicts with other mappings", m.ContainerID, m.HostID, m.Size)
			}
		}
		if !within(m, outer) {
			return fmt.Errorf("mapping %d:%d:%d: pod itself has not all of these ids: `pod unshare cat /proc/self/uid_map` shows those it has", m.ContainerID, m.HostID, m.Size)
		}
	}
	return nil
}

func overlap(a, b, sizeA, sizeB uint32) bool {
	return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
}

// within says whether the outer ids of a mapping all exist.
func within(m rspec.LinuxIDMapping, outer []rspec.LinuxIDMapping) bool {
	left := []rspec.LinuxIDMapping{{ContainerID: m.HostID, HostID: m.HostID, Size: m.Size}}
	for _, o := range outer {
		left = without(left, rspec.LinuxIDMapping{ContainerID: o.ContainerID, HostID: o.ContainerID, Size: o.Size})
	}
	return len(left) == 0
}

// SplitRootfs takes the option off the argument of --rootfs.
func SplitRootfs(arg string) (dir, option string) {
	if dir, ok := strings.CutSuffix(arg, ":O"); ok {
		return dir, "O"
	}
	if dir, ok := strings.CutSuffix(arg, ":idmap"); ok {
		return dir, "idmap"
	}
	if dir, maps, ok := strings.Cut(arg, ":idmap="); ok {
		return dir, "idmap=" + maps
	}
	return arg, ""
}

func (c *Container) checkRootfsOption() error {
	if c.RootfsOption == "" || c.RootfsOption == "O" || c.RootfsOption == "idmap" {
		return nil
	}
	list, ok := strings.CutPrefix(c.RootfsOption, "idmap=")
	if !ok {
		return fmt.Errorf("--rootfs with %q: it must be O or idmap", c.RootfsOption)
	}
	_, _, err := parseMountIdmap(list)
	return err
}

// RootfsIDs are the mappings of an idmapped root file system, from ids of its
// files to those of pod's namespace; uids and gids are the container's own.
func (c *Container) RootfsIDs(uids, gids []rspec.LinuxIDMapping) (u, g []rspec.LinuxIDMapping, err error) {
	list, ok := strings.CutPrefix(c.RootfsOption, "idmap=")
	if !ok {
		return uids, gids, nil
	}
	listed, listedGroups, err := parseMountIdmap(list)
	if err != nil {
		return nil, nil, err
	}
	if u, err = mountIDs(listed, uids); err != nil {
		return nil, nil, err
	}
	g, err = mountIDs(listedGroups, gids)
	return u, g, err
}

// parseMountIdmap reads the option idmap=uids=0-1-10#10-11-10;gids=0-100-10 of a
// mount: FILE-HOST-SIZE, where @ makes the second relative to the container's own
// user namespace.
func parseMountIdmap(s string) (uids, gids []mountID, err error) {
	for part := range strings.SplitSeq(s, ";") {
		kind, list, _ := strings.Cut(part, "=")
		var to *[]mountID
		switch kind {
		case "uids":
			to = &uids
		case "gids":
			to = &gids
		default:
			return nil, nil, fmt.Errorf("idmap %q: it is uids=FILE-HOST-SIZE[#…];gids=…", s)
		}
		for word := range strings.SplitSeq(list, "#") {
			var m mountID
			word, m.relative = strings.CutPrefix(word, "@")
			parts := strings.Split(word, "-")
			if len(parts) != 3 {
				return nil, nil, fmt.Errorf("idmap %q: it is uids=FILE-HOST-SIZE[#…];gids=…", s)
			}
			for i, n := range []*uint32{&m.ContainerID, &m.HostID, &m.Size} {
				v, err := strconv.ParseUint(parts[i], 10, 32)
				if err != nil {
					return nil, nil, fmt.Errorf("idmap %q: %q is no id", s, parts[i])
				}
				*n = uint32(v)
			}
			*to = append(*to, m)
		}
	}
	return uids, gids, nil
}

// mountID is a mapping of a mount's own.
type mountID struct {
	rspec.LinuxIDMapping

	relative bool
}

// mountIDs turns relative mappings into those of the namespace pod runs in.
func mountIDs(list []mountID, space []rspec.LinuxIDMapping) ([]rspec.LinuxIDMapping, error) {
	var out []rspec.LinuxIDMapping
	for _, m := range list {
		if m.relative && len(space) > 0 {
			i := slices.IndexFunc(space, func(s rspec.LinuxIDMapping) bool {
				return m.HostID >= s.ContainerID && m.HostID-s.ContainerID < s.Size
			})
			if i < 0 {
				return nil, fmt.Errorf("idmap: id %d is not in the container's user namespace", m.HostID)
			}
			m.HostID = space[i].HostID + m.HostID - space[i].ContainerID
		}
		out = append(out, m.LinuxIDMapping)
	}
	return out, nil
}
