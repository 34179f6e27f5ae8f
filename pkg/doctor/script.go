package doctor

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Mend runs the commands of a fix that need no root.
func Mend(ctx context.Context, f *Fix) error {
	if f.Root {
		return errors.New("needs root")
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-euc", strings.Join(f.Commands, "\n"))
	cmd.WaitDelay = checkTimeout
	out, err := cmd.CombinedOutput()
	if err != nil {
		text := strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", "; ")
		return fmt.Errorf("run %s: %w: %s", strings.Join(f.Commands, "; "), err, text)
	}
	return nil
}

const scriptHead = `#!/bin/sh
# Written by "pod doctor --fix" for %s: what needs root. To run it again does no
# harm.
set -eu
[ "$(id -u)" -eq 0 ] || { echo "this script needs root: sudo sh $0" >&2; exit 1; }
`

const scriptInstall = `
install_package() { # install_package DEBIAN FEDORA OTHERS
    if command -v apt-get >/dev/null; then
        apt-get install -y "$1"
    elif command -v dnf >/dev/null; then
        dnf install -y "$2"
    elif command -v zypper >/dev/null; then
        zypper --non-interactive install "$3"
    elif command -v pacman >/dev/null; then
        pacman -S --needed --noconfirm "$3"
    elif command -v apk >/dev/null; then
        apk add "$3"
    else
        echo "install the package $1 by hand" >&2
        return 1
    fi
}
`

// Script writes the fixes of results that need root as a shell script; empty if
// there are none. What is fine already has no fix, but for settings that are a
// matter of taste: these are left out.
func Script(user string, results []Result) string {
	var body strings.Builder
	install := false
	for _, r := range results {
		if r.Fix == nil || !r.Fix.Root || r.Status != Warn && r.Status != Fail {
			continue
		}
		fmt.Fprintf(&body, "\n# %s: %s\n", r.Name, oneLine(r.Found))
		for _, command := range r.Fix.Commands {
			fmt.Fprintln(&body, command)
			install = install || strings.HasPrefix(command, "install_package ")
		}
	}
	if body.Len() == 0 {
		return ""
	}
	head := fmt.Sprintf(scriptHead, oneLine(user))
	if install {
		head += scriptInstall
	}
	return head + body.String()
}

// oneLine keeps text of the host in its comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
