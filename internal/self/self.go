// Package self finds the program that users start. It may run as another one: beside
// PREFIX/bin/pod lies PREFIX/libexec/pod/quick-ID, which does a part of the commands
// in its place and goes away with the next upgrade.
package self

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// Path returns the path of pod, which may be recorded: later commands find pod there.
func Path() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	if whole, ok := Whole(own); ok {
		return whole, nil
	}
	return own, nil
}

// Whole returns the path of pod if the program at the path own is a quick beside it.
// The constructor (beside.c in package nsenter) reads paths the same way.
func Whole(own string) (string, bool) {
	dir, name := path.Split(own)
	prefix, ok := strings.CutSuffix(dir, "/libexec/pod/")
	if !ok || !strings.HasPrefix(name, "quick-") {
		return "", false
	}
	return prefix + "/bin/pod", true
}
