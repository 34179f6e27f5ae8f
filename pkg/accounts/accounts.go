// Package accounts owns what pod reads of and adds to a container's /etc/passwd
// and /etc/group. The files are the image's: they are opened inside the root, only
// if they are regular files, and read up to a bound.
package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/inroot"
)

// The files, below a root.
const (
	Passwd = "etc/passwd"
	Group  = "etc/group"
)

// maxFile bounds what is read: the files are the image's, and may be endless.
const maxFile = 4 << 20

// ErrIrregular means that the path is no regular file, or leads nowhere.
var ErrIrregular = errors.New("it is no regular file")

// open opens a regular file below root without leaving root.
func open(root, path string, flags int) (*os.File, error) {
	f, err := inroot.OpenRegular(root, path, flags)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, inroot.ErrIrregular) {
		return nil, ErrIrregular
	}
	return f, err
}

// Read returns the content of a file below root; a missing one, or one that is no
// regular file, reads as empty.
func Read(root, path string) ([]byte, error) {
	f, err := open(root, path, unix.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrIrregular) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read /%s of the container: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read /%s of the container: %w", path, err)
	}
	return data, nil
}

// Readable refuses a root in which an account file is a pipe, a device or a socket:
// OCI runtimes open them as they are, and would wait without end.
func Readable(root string) error {
	for _, path := range []string{Passwd, Group} {
		f, err := inroot.OpenAt(root, path)
		if err != nil {
			continue // missing, or a link to nowhere: nobody can open it
		}
		info, err := f.Stat()
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("look at /%s of the image: %w", path, err)
		}
		if !info.Mode().IsRegular() && !info.IsDir() {
			return fmt.Errorf("/%s of the image is no regular file (%s): programs that look up a user would wait for it: use another base image", path, info.Mode().Type())
		}
	}
	return nil
}

// Append adds lines to a regular file below root, the last line of which it ends.
func Append(root, path, lines string) error {
	f, err := open(root, path, unix.O_RDWR|unix.O_APPEND)
	if err != nil {
		return fmt.Errorf("add an entry to /%s of the container: %w", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("add an entry to /%s of the container: %w", path, err)
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return fmt.Errorf("add an entry to /%s of the container: %w", path, err)
		}
	}
	if last[0] != '\n' {
		lines = "\n" + lines
	}
	if _, err := f.WriteString(lines); err != nil {
		return fmt.Errorf("add an entry to /%s of the container: %w", path, err)
	}
	return nil
}

// User is somebody of the host who is to have an entry.
type User struct {
	Name, UID, GID, Gecos, Home string
}

// Wish says what is to be added.
type Wish struct {
	// User is UID|NAME[:GID|GROUP] of the container's process. Who is there
	// already, or is a name, needs no entry.
	User string
	// WorkDir becomes the new user's home.
	WorkDir string
	// Self is the user of keep-id: the new entry bears his name.
	Self *User
	// PasswdEntry and GroupEntry replace the entries, see specgen.Accounts.
	PasswdEntry, GroupEntry string
	// HostUsers get entries too.
	HostUsers []User
}

// Lines are what Wish adds to files with these contents.
func (w Wish) Lines(passwd, group []byte) (newPasswd, newGroup string) {
	var p, g strings.Builder
	uid, gid, hasGID := strings.Cut(w.User, ":")
	if n, err := strconv.ParseUint(uid, 10, 32); err == nil && !has(passwd, 2, uid) && !has(passwd, 0, uid) {
		p.WriteString(w.passwdLine(strconv.FormatUint(n, 10), gid))
	}
	if !hasGID {
		gid = uid
	}
	if n, err := strconv.ParseUint(gid, 10, 32); err == nil && !has(group, 2, gid) && !has(group, 0, gid) {
		g.WriteString(w.groupLine(strconv.FormatUint(n, 10), uid))
	}
	for _, u := range w.HostUsers {
		if has(passwd, 2, u.UID) || has(passwd, 0, u.Name) || has([]byte(p.String()), 2, u.UID) {
			continue
		}
		fmt.Fprintf(&p, "%s:*:%s:%s:%s:%s:/bin/sh\n", u.Name, u.UID, u.GID, clean(u.Gecos), clean(u.Home))
	}
	return p.String(), g.String()
}

func (w Wish) passwdLine(uid, gid string) string {
	if _, err := strconv.ParseUint(gid, 10, 32); err != nil {
		gid = "0"
		if w.Self != nil {
			gid = w.Self.GID
		}
	}
	name, full, home := uid, "container user", clean(w.WorkDir)
	if w.Self != nil {
		name = w.Self.Name
		if w.Self.Gecos != "" {
			full = clean(w.Self.Gecos)
		}
	}
	if home == "" {
		home = "/"
	}
	if w.PasswdEntry == "" {
		return fmt.Sprintf("%s:*:%s:%s:%s:%s:/bin/sh\n", name, uid, gid, full, home)
	}
	return fill(w.PasswdEntry, "$USERNAME", name, "$UID", uid, "$GID", gid, "$NAME", full, "$HOME", home)
}

func (w Wish) groupLine(gid, uid string) string {
	name, members := gid, uid
	if w.Self != nil {
		name, members = w.Self.Name, w.Self.Name
	}
	if w.GroupEntry == "" {
		return fmt.Sprintf("%s:x:%s:%s\n", name, gid, members)
	}
	return fill(w.GroupEntry, "$GROUPNAME", name, "$GID", gid, "$USERLIST", members)
}

func fill(entry string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(strings.TrimSuffix(entry, "\n")) + "\n"
}

// clean keeps a field from being several.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ':' || r < 0x20 {
			return -1
		}
		return r
	}, s)
}

// has says whether a line has this value in this field.
func has(file []byte, field int, value string) bool {
	for line := range bytes.Lines(file) {
		fields := strings.Split(strings.TrimSpace(string(line)), ":")
		if len(fields) > field && fields[field] == value {
			return true
		}
	}
	return false
}

// MaxID is the highest id of the users and groups but nobody, who often has 65534.
func MaxID(passwd, group []byte) uint32 {
	highest := uint32(0)
	for file, columns := range map[*[]byte][]int{&passwd: {2, 3}, &group: {2}} {
		for line := range bytes.Lines(*file) {
			fields := strings.Split(strings.TrimSpace(string(line)), ":")
			for _, i := range columns {
				if i >= len(fields) || fields[0] == "nobody" || fields[0] == "nogroup" {
					continue
				}
				if n, err := strconv.ParseUint(fields[i], 10, 32); err == nil && n != 65534 {
					highest = max(highest, uint32(n))
				}
			}
		}
	}
	return highest
}
