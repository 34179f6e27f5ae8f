package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// DropBuildCache removes what builds of a user keep for RUN --mount=type=cache.
// buildah, and with it podman, keep it in a place for temporary files.
func DropBuildCache(uid int) error {
	// Others may write there: RemoveAll follows no symbolic link, and what
	// belongs to somebody else stays.
	if err := os.RemoveAll(BuildCache(uid)); err != nil {
		return fmt.Errorf("remove the cache of builds: %w", err)
	}
	return nil
}

// BuildCache is the directory of that cache; it need not exist.
func BuildCache(uid int) string {
	dir := os.Getenv("TMPDIR")
	if dir == "" {
		dir = "/var/tmp"
	}
	return filepath.Join(dir, "buildah-cache-"+strconv.Itoa(uid))
}
