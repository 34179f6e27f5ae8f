package rootless

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// idRange is a range of sub-ids of a user.
type idRange struct{ start, count int }

// maxID is past the last id a map may hold (the last value means "none").
const maxID = 1<<32 - 1

// maxExtents is how many lines the kernel takes in one map, less the own id's.
const maxExtents = 339

// subIDs is where ranges come from; tests put their own in.
type subIDs struct {
	subuid, subgid, nsswitch string
	getsubids                string
}

func systemSubIDs() subIDs {
	return subIDs{subuid: "/etc/subuid", subgid: "/etc/subgid", nsswitch: "/etc/nsswitch.conf", getsubids: "getsubids"}
}

// ranges returns the sub-uids and sub-gids of a user. No ranges is no error.
func (s subIDs) ranges(ctx context.Context, uid, gid int) (uids, gids []idRange, err error) {
	name := userName(uid)
	if src := s.source(); src != "files" {
		uids, err = s.fromNSS(ctx, name)
		if err != nil {
			return nil, nil, fmt.Errorf("ask %s for sub-ids: %w", src, err)
		}
		gids, err = s.fromNSS(ctx, name, "-g")
		if err != nil {
			return nil, nil, fmt.Errorf("ask %s for sub-ids: %w", src, err)
		}
	} else {
		if uids, err = fromFile(s.subuid, name, uid); err != nil {
			return nil, nil, err
		}
		// subgid is by user as well, not by group.
		if gids, err = fromFile(s.subgid, name, uid); err != nil {
			return nil, nil, err
		}
	}
	return usable(uids, uid), usable(gids, gid), nil
}

// source is the first word of nsswitch.conf's subid line.
func (s subIDs) source() string {
	b, err := os.ReadFile(s.nsswitch)
	if err != nil {
		return "files" // as shadow does without the file
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "subid:"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				return f[0]
			}
		}
	}
	return "files"
}

func (s subIDs) fromNSS(ctx context.Context, name string, flags ...string) ([]idRange, error) {
	cmd := exec.CommandContext(ctx, s.getsubids, append(flags, name)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		return nil, err // not installed
	}
	if err != nil && !bytes.Contains(stderr.Bytes(), []byte("fetching ranges")) {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return parseGetsubids(out), nil // it exits 1 for a user without ranges
}

// parseGetsubids reads lines like "0: alice 100000 65536".
func parseGetsubids(b []byte) []idRange {
	var ranges []idRange
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 4 {
			continue
		}
		if r, ok := parseRange(f[2], f[3]); ok {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

// fromFile reads the lines of a user, by name or by number, of a subuid file.
func fromFile(path, name string, uid int) ([]idRange, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read sub-ids: %w", err)
	}
	return parseSubIDs(b, name, uid), nil
}

// parseSubIDs skips lines it does not understand, as newuidmap does: what it
// lets through in error, newuidmap refuses.
func parseSubIDs(b []byte, name string, uid int) []idRange {
	var ranges []idRange
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		f := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(f) != 3 || f[0] == "" || (f[0] != name && f[0] != strconv.Itoa(uid)) {
			continue
		}
		if r, ok := parseRange(f[1], f[2]); ok {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

func parseRange(start, count string) (idRange, bool) {
	s, err1 := strconv.ParseUint(start, 10, 32)
	c, err2 := strconv.ParseUint(count, 10, 32)
	if err1 != nil || err2 != nil || c == 0 || s+c > maxID {
		return idRange{}, false
	}
	return idRange{int(s), int(c)}, true
}

// usable drops ranges which the kernel would refuse the whole map for: those
// that overlap an earlier one or hold the user's own id, and any beyond the
// number of lines it takes.
func usable(ranges []idRange, own int) []idRange {
	var kept []idRange
	for _, r := range ranges {
		overlaps := func(k idRange) bool { return r.start < k.start+k.count && k.start < r.start+r.count }
		if overlaps(idRange{own, 1}) || slices.ContainsFunc(kept, overlaps) || len(kept) == maxExtents {
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// freeRange proposes 65536 sub-ids nobody has yet, as the remedy prints them.
func (s subIDs) freeRange() string {
	start := 100000
	for _, path := range []string{s.subuid, s.subgid} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // then nobody has any there
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Split(strings.TrimSpace(line), ":")
			if len(f) != 3 {
				continue
			}
			if r, ok := parseRange(f[1], f[2]); ok {
				start = max(start, r.start+r.count)
			}
		}
	}
	return fmt.Sprintf("%d-%d", start, start+65535)
}

// NamedSubIDs returns the ranges that a file like /etc/subuid gives to a name, in
// ids of the host.
func NamedSubIDs(file, name string) ([]Mapping, error) {
	ranges, err := fromFile(file, name, -1)
	if err != nil {
		return nil, err
	}
	var out []Mapping
	for _, r := range ranges {
		out = append(out, Mapping{HostID: r.start, Size: r.count})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no line of %s is for %s", file, name)
	}
	return out, nil
}

// userName is the name of a uid, or the number where nobody knows it.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}
