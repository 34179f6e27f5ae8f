package why

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawSetgroups sets the groups of the calling thread alone; Go's own call is for
// all threads.
func rawSetgroups(groups []uint32) error {
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0); errno != 0 {
		return errno
	}
	return nil
}
