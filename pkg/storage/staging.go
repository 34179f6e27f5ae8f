package storage

import "strings"

// StagingLost says whether an error comes from a staging directory of containers/storage
// that another process took for a dead one's and removed. Its lock file is made, and
// then locked (storage 1.64, internal/staging_lockfile, CreateAndLock); a process that
// looks for dead ones between the two removes the file, so that the next one finds
// nothing locked. Nothing is damaged then, and the same work succeeds when done again.
func StagingLost(err error) bool {
	return err != nil && strings.Contains(err.Error(), "/temp-dir-") && strings.Contains(err.Error(), "no such file or directory")
}
