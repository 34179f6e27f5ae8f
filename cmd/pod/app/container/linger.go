package container

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/rootless"
)

// survivesLogout says in one line why a container will not outlive the user's
// login here, and what helps; empty when it will.
func survivesLogout(a *cli.App) string {
	session := a.Session()
	if session == nil || !session.Rootless {
		return ""
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return "" // without logind nothing ends processes at logout
	}
	name := strconv.Itoa(session.HostUID)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	if rootless.LingerEnabled(name) {
		return ""
	}
	return fmt.Sprintf("the container ends when %s logs out for the last time: `loginctl enable-linger %s` keeps it (pod doctor --check linger explains)", name, name)
}
