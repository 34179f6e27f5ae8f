package container

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/boot"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// warnEnd says in one line when a detached container will not live as long as it
// is meant to here, and what helps: each time for one with a restart policy, once
// a boot for others.
func warnEnd(a *cli.App, spec *specgen.Container) {
	h, err := a.Boot()
	if err != nil {
		return // a hint, no more
	}
	if line := policyEnds(h, spec.Restart); line != "" {
		a.Warn("%s", line)
		return
	}
	if !h.HasSystemd() || h.Lingers() {
		return // without logind nothing ends processes at logout
	}
	said, err := os.OpenFile(filepath.Join(h.RunBase, "pod", "said-linger"), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	said.Close()
	a.Warn("the container ends when %[1]s logs out for the last time: `loginctl enable-linger %[1]s` keeps it (pod doctor --check linger explains)", h.User)
}

// policyEnds says what a restart policy does not outlive here; empty if there is
// none, or it holds. A boot is nothing that on-failure reacts to.
func policyEnds(h *boot.Host, policy string) string {
	boots := policy == "always" || policy == "unless-stopped"
	logout := h.HasSystemd() && !h.Lingers()
	switch {
	case logout && boots:
		return fmt.Sprintf("restart policy %s does not outlive the last logout of %s, nor a reboot: `pod boot enable` mends both", policy, h.User)
	case logout && policy == "on-failure":
		return fmt.Sprintf("restart policy %s does not outlive the last logout of %s: `pod boot enable` mends it", policy, h.User)
	case boots && !h.Installed():
		return fmt.Sprintf("restart policy %s does not outlive a reboot: `pod boot enable` mends it", policy)
	}
	return ""
}
