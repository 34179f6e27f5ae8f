package rootless

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// pauseError is a step that failed in the pause process.
type pauseError struct {
	step  string
	errno syscall.Errno
}

func (e pauseError) Error() string { return e.step + ": " + e.errno.Error() }

func (e pauseError) Unwrap() error { return e.errno }

// explain turns a step refused by the kernel into the setting that refuses it
// and the remedy.
func explain(err error) error {
	var pe pauseError
	if !errors.As(err, &pe) {
		return fmt.Errorf("create user namespace: %w", err)
	}
	return explainWith(pe, sysctl)
}

func explainWith(pe pauseError, sysctl func(string) string) error {
	check := checkUserns
	refusal := func(setting, remedy string) error {
		return fmt.Errorf("create user namespace: %w: refused by %s; as root: %s %s", pe, setting, remedy, check)
	}
	denied := pe.errno == syscall.EPERM || pe.errno == syscall.EACCES
	switch {
	case denied && sysctl("kernel/unprivileged_userns_clone") == "0":
		return refusal("the setting kernel.unprivileged_userns_clone=0", "sysctl -w kernel.unprivileged_userns_clone=1")
	case sysctl("user/max_user_namespaces") == "0":
		return refusal("the setting user.max_user_namespaces=0", "sysctl -w user.max_user_namespaces=28633")
	case denied && sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
		check = checkAppArmor
		return refusal("AppArmor, kernel.apparmor_restrict_unprivileged_userns=1", "install pod's AppArmor profile (make install), or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
	case pe.errno == syscall.ENOSPC:
		return refusal("the limit user.max_user_namespaces="+sysctl("user/max_user_namespaces"), "raise it with sysctl -w user.max_user_namespaces=28633")
	case pe.errno == syscall.EUSERS:
		return fmt.Errorf("create user namespace: %w: they are nested too deep here", pe)
	case pe.errno == syscall.EINVAL && pe.step == "unshare":
		return fmt.Errorf("create user namespace: %w: this kernel has none (CONFIG_USER_NS)", pe)
	case denied && pe.step == "unshare":
		return fmt.Errorf("create user namespace: %w: not allowed here; in a container, start that one with --security-opt seccomp=unconfined or --privileged", pe)
	}
	return fmt.Errorf("create user namespace: %w", pe)
}

// sysctl reads a kernel setting, "" where the kernel has none of that name.
func sysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
