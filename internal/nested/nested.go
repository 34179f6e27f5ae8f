// Package nested knows what a container around pod refuses it, and which option of
// that container mends it.
package nested

import (
	"errors"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Contained says whether pod itself is in a container.
func Contained() bool {
	for _, mark := range []string{"/run/.containerenv", "/.dockerenv"} {
		if _, err := os.Lstat(mark); err == nil {
			return true
		}
	}
	return os.Getenv("container") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// Remedy names the option of the container around pod that lets an OCI runtime do
// what it was refused; empty if pod is in none, or nothing is known.
func Remedy(refusal string) string {
	if !Contained() {
		return ""
	}
	return remedy(refusal)
}

func remedy(refusal string) string {
	lower := strings.ToLower(refusal)
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(lower, word) {
				return true
			}
		}
		return false
	}
	switch {
	case !has("operation not permitted", "permission denied"):
		return ""
	case has("proc"):
		return "pod is in a container whose /proc is masked: start that one with --security-opt unmask=ALL, docker's with systempaths=unconfined"
	case has("hostname", "chroot", "mount", "unshare", "clone", "pivot"):
		return "pod is in a container whose seccomp filter refuses it: start that one with --security-opt seccomp=unconfined"
	}
	return "pod is in a container: start that one with --privileged, or see `pod doctor`"
}

// HostnameRefused says whether the seccomp filter of a container around pod keeps
// pod's containers from having a host name of their own. It is tried in a namespace
// that ends at once; outside of containers it is not even tried.
func HostnameRefused() bool {
	return Contained() && onOwnThread(func() bool {
		if unix.Unshare(unix.CLONE_NEWUTS) != nil {
			return false // that refusal is the runtime's to tell
		}
		return errors.Is(unix.Sethostname([]byte("pod")), unix.EPERM)
	})
}

// onOwnThread runs fn on a thread that ends afterwards. The first thread does not
// end, so it must not be that one.
func onOwnThread(fn func() bool) bool {
	done := make(chan bool, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			answer := onOwnThread(fn)
			runtime.UnlockOSThread()
			done <- answer
			return
		}
		done <- fn() // stays locked: the runtime ends the thread
	}()
	return <-done
}
