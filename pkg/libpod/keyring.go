package libpod

import (
	"os"
	"strconv"
	"strings"
)

// spareKeys is how many keys of the user's quota stay free for others.
const spareKeys = 16

// newKeyring says whether a container gets a session keyring of its own: unless
// containers.conf says no (keyring), or the user's quota of keys is nearly used
// up (200 for an ordinary user; the runtime would then refuse the container).
func (e *Engine) newKeyring() bool {
	if !e.Config.Containers.EnableKeyring {
		return false
	}
	data, err := os.ReadFile("/proc/key-users")
	return err != nil || keysLeft(string(data), os.Geteuid()) > spareKeys
}

// keysLeft reads a user's quota of keys from /proc/key-users (proc_keys(5)):
// UID: USAGE NKEYS/NIKEYS QNKEYS/MAXKEYS QNBYTES/MAXBYTES. A user who is not
// listed has all of it left.
func keysLeft(table string, uid int) int {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) != 5 || fields[0] != strconv.Itoa(uid)+":" {
			continue
		}
		used, most, _ := strings.Cut(fields[3], "/")
		u, err := strconv.Atoi(used)
		m, err2 := strconv.Atoi(most)
		if err == nil && err2 == nil {
			return m - u
		}
	}
	return spareKeys + 1
}
