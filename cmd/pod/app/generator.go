package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/version"
)

// The names systemd starts pod by to be given the units of Quadlet files; the C
// constructor knows them too, and stays outside pod's namespaces.
const (
	userGenerator   = "pod-user-generator"
	systemGenerator = "pod-system-generator"
)

func isGenerator(arg0 string) bool {
	name := filepath.Base(arg0)
	return name == userGenerator || name == systemGenerator
}

// generator is pod as a generator of systemd's: no part of the command line is set up.
func generator(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet(filepath.Base(args[0]), flag.ContinueOnError)
	fs.SetOutput(stderr)
	var showVersion, dryRun bool
	fs.Bool("user", filepath.Base(args[0]) == userGenerator, "Files and units of a user, not the system")
	fs.BoolVar(&dryRun, "dryrun", false, "Print the units, write none")
	fs.Bool("no-kmsg-log", false, "Print messages, do not write them to the kernel's log")
	fs.Bool("v", false, "Print more messages")
	fs.BoolVar(&showVersion, "version", false, "Print the version")
	switch err := fs.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return cli.CodeFailure
	}
	if showVersion {
		fmt.Fprintln(stdout, version.Version)
		return 0
	}
	if !dryRun && fs.NArg() == 0 {
		fmt.Fprintf(stderr, "%s: missing output directory argument\n", fs.Name())
		return 1
	}
	return 0
}
