// Env runs a command with a changed environment, or prints it.
//
//	env [-i] [-u NAME] [NAME=VALUE...] [COMMAND [ARG...]]
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

func main() {
	args := os.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch {
		case args[0] == "-i" || args[0] == "-":
			os.Clearenv()
		case args[0] == "-u" && len(args) > 1:
			args = args[1:]
			os.Unsetenv(args[0])
		default:
			fmt.Fprintln(os.Stderr, "usage: env [-i] [-u NAME] [NAME=VALUE...] [COMMAND [ARG...]]")
			os.Exit(125)
		}
		args = args[1:]
	}
	for len(args) > 0 && strings.Contains(args[0], "=") {
		name, value, _ := strings.Cut(args[0], "=")
		os.Setenv(name, value)
		args = args[1:]
	}
	if len(args) == 0 {
		for _, pair := range os.Environ() {
			fmt.Println(pair)
		}
		return
	}
	path, err := exec.LookPath(args[0])
	if err == nil {
		err = syscall.Exec(path, args, os.Environ())
	}
	fmt.Fprintln(os.Stderr, "env:", err)
	os.Exit(127)
}
