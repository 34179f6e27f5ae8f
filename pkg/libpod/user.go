package libpod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// maxAccounts bounds what is read of a container's /etc/passwd and /etc/group:
// they are the image's, and may be endless.
const maxAccounts = 4 << 20

// codeCannotRun is the exit code for a command that is there and cannot run.
const codeCannotRun = 126

// account is Process.User resolved in a root file system.
type account struct {
	uid, gid uint32
	groups   []uint32
	home     string
}

// resolveUser looks name and groups up in the container's own account files.
// They are opened inside the root, and only regular files are read.
func resolveUser(root, name string, groups []string) (account, error) {
	passwd, err := accountFile(root, "etc/passwd")
	if err != nil {
		return account{}, err
	}
	group, err := accountFile(root, "etc/group")
	if err != nil {
		return account{}, err
	}
	defaults := &user.ExecUser{Home: "/"}
	found, err := user.GetExecUser(name, defaults, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		switch {
		case errors.Is(err, user.ErrNoPasswdEntries):
			return account{}, coded(codeCannotRun, "unable to find user %s: no matching entries in passwd file of the image; use a numeric id", name)
		case errors.Is(err, user.ErrNoGroupEntries):
			return account{}, coded(codeCannotRun, "unable to find group of %s: no matching entries in group file of the image; use a numeric id", name)
		}
		return account{}, fmt.Errorf("find user %s in the container: %w", name, err)
	}
	// The primary group is in the list, as after a login: without it a setgid
	// program could shed it (CVE-2022-2989).
	a := account{uid: uint32(found.Uid), gid: uint32(found.Gid), home: found.Home, groups: []uint32{uint32(found.Gid)}}
	for _, g := range found.Sgids {
		if !slices.Contains(a.groups, uint32(g)) {
			a.groups = append(a.groups, uint32(g))
		}
	}
	if len(groups) > 0 {
		extra, err := user.GetAdditionalGroups(groups, bytes.NewReader(group))
		if err != nil {
			return account{}, fmt.Errorf("find groups in the container: %w", err)
		}
		for _, g := range extra {
			if !slices.Contains(a.groups, uint32(g)) {
				a.groups = append(a.groups, uint32(g))
			}
		}
	}
	return a, nil
}

// accountFile reads a file below root without leaving root; a missing one, or
// one that is no regular file, reads as empty.
func accountFile(root, path string) ([]byte, error) {
	handle, err := pathrs.OpenInRoot(root, path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return nil, nil
		}
		return nil, fmt.Errorf("open /%s of the container: %w", path, err)
	}
	defer handle.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(handle.Fd()), &st); err != nil {
		return nil, fmt.Errorf("stat /%s of the container: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, nil
	}
	f, err := pathrs.Reopen(handle, unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("read /%s of the container: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAccounts))
	if err != nil {
		return nil, fmt.Errorf("read /%s of the container: %w", path, err)
	}
	return data, nil
}
