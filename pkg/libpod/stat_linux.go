package libpod

import "golang.org/x/sys/unix"

func statOwner(path string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return st, err
}
