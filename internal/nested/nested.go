// Package nested knows what a container around pod refuses it, and which option of
// that container mends it.
package nested

import (
	"os"
	"strings"
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
	case has("hostname", "mount", "unshare", "clone", "pivot"):
		return "pod is in a container whose seccomp filter refuses it: start that one with --security-opt seccomp=unconfined"
	}
	return "pod is in a container: start that one with --privileged, or see `pod doctor`"
}
