package whole

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rootless-pod/pod/cmd/pod/app"
	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/journal"
	"github.com/rootless-pod/pod/internal/self"
	"github.com/rootless-pod/pod/internal/version"
	"github.com/rootless-pod/pod/pkg/quadlet"
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
	name := filepath.Base(args[0])
	log := &quadlet.Log{Name: name, Err: stderr, Journal: journal.Socket, Kmsg: "/dev/kmsg"}
	g := quadlet.Generator{Name: name, Out: stdout, Log: log, Host: quadlet.Host{UID: os.Getuid(), Getenv: os.Getenv}}
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	var showVersion bool
	fs.BoolVar(&g.User, "user", name == userGenerator, "Files and units of a user, not of the system")
	fs.BoolVar(&g.DryRun, "dryrun", false, "Print the units, write none")
	fs.BoolVar(&log.Plain, "no-kmsg-log", false, "Print messages, write them to no log")
	fs.BoolVar(&log.Verbose, "v", false, "More messages")
	fs.BoolVar(&showVersion, "version", false, "Print the version")
	switch err := fs.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if showVersion {
		fmt.Fprintln(stdout, version.Version)
		return 0
	}
	log.Plain = log.Plain || g.DryRun
	log.Verbose = log.Verbose || g.DryRun
	g.Dirs = fs.Args()
	// The services call the program itself, whatever link it was called by.
	program, err := self.Path()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return cli.CodeFailure
	}
	g.Program = program
	app.CalmCollector()
	if g.Run() != nil {
		return 1
	}
	return 0
}
