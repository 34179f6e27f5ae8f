package libpod

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/moby/sys/user"

	"github.com/rootless-pod/pod/pkg/accounts"
)

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
	passwd, err := accounts.Read(root, accounts.Passwd)
	if err != nil {
		return account{}, err
	}
	group, err := accounts.Read(root, accounts.Group)
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
