package why

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ACLEntry is an entry of a POSIX ACL (acl(5)).
type ACLEntry struct {
	Tag  uint16
	Perm uint16
	ID   uint32
}

// Tags of entries, as in the kernel's posix_acl_xattr.h.
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20

	aclVersion = 2
	// maxACL bounds what is read: 4 bytes of head, 8 an entry.
	maxACL = 4 + 8*1024
)

var errACL = errors.New("ACL is damaged")

// parseACL reads the attribute system.posix_acl_access.
func parseACL(b []byte) ([]ACLEntry, error) {
	if len(b) < 4 || (len(b)-4)%8 != 0 || len(b) > maxACL || binary.LittleEndian.Uint32(b) != aclVersion {
		return nil, errACL
	}
	var entries []ACLEntry
	for b = b[4:]; len(b) > 0; b = b[8:] {
		entries = append(entries, ACLEntry{
			Tag: binary.LittleEndian.Uint16(b), Perm: binary.LittleEndian.Uint16(b[2:]) & 7, ID: binary.LittleEndian.Uint32(b[4:]),
		})
	}
	return entries, nil
}

// String is an entry as getfacl shows it.
func (e ACLEntry) String() string {
	perm := letters(uint32(e.Perm))[6:]
	switch e.Tag {
	case aclUserObj:
		return "user::" + perm
	case aclUser:
		return fmt.Sprintf("user:%d:%s", e.ID, perm)
	case aclGroupObj:
		return "group::" + perm
	case aclGroup:
		return fmt.Sprintf("group:%d:%s", e.ID, perm)
	case aclMask:
		return "mask::" + perm
	}
	return "other::" + perm
}

// checkACL is the kernel's posix_acl_permission: whether the ACL allows, and the
// entry that decides.
func checkACL(st *Step, s *Subject, want Access) (allowed bool, by ACLEntry) {
	bits := uint16(want)
	mask := ACLEntry{Tag: aclMask, Perm: 7}
	for _, e := range st.ACL {
		if e.Tag == aclMask {
			mask = e
		}
	}
	masked := func(e ACLEntry) (bool, ACLEntry) {
		if e.Perm&bits == bits && mask.Perm&bits != bits {
			return false, mask
		}
		return e.Perm&bits == bits, e
	}
	found := false
	for _, e := range st.ACL {
		switch e.Tag {
		case aclUser:
			if e.ID == s.UID {
				return masked(e)
			}
		case aclGroupObj, aclGroup:
			id, mapped := e.ID, true
			if e.Tag == aclGroupObj {
				id, mapped = st.GID, !st.NoGID
			}
			if !mapped || !s.in(id) {
				continue
			}
			found, by = true, e
			if e.Perm&bits == bits {
				return masked(e)
			}
		case aclOther:
			if found {
				return false, by
			}
			return e.Perm&bits == bits, e
		}
	}
	return false, by
}
