// Package app is the command line of pod: the root command, its global flags
// and the way from an error to an exit code. What commands there are a Program says;
// package whole has that of all.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.podman.io/storage/pkg/reexec"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/internal/version"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/storage"
)

// cleanupVerb is what conmon starts when a container has ended; its first
// argument, the wait lock, was dealt with before Go began (rootless/nsenter).
const cleanupVerb = "__cleanup"

// Main runs one command of the program and returns its exit code.
func Main(p Program, entry rootless.Entry, args []string, start time.Time) int {
	if p.Early != nil {
		if done, err := p.Early(args); done {
			report(os.Stderr, err)
			return cli.Code(err)
		}
	}
	// A stricter mask would shut other users of a container out of its files and of
	// the images in the store, a looser one let others of the host in.
	entry.Umask = syscall.Umask(0o022)
	if reexec.Init() {
		return 0 // a child of containers/storage, which works in a chroot
	}
	if len(args) > 2 && args[1] == cleanupVerb {
		args = append([]string{args[0]}, args[3:]...)
	}
	CalmCollector()
	a := cli.New(entry, args, start)
	a.Parts = p.Parts
	root := newRoot(a, p.Nouns)
	a.Tree = p.Tree
	root.SetArgs(args[1:])
	var recorder *step.Recorder
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := setLogging(a); err != nil {
			return err
		}
		if dir := a.Global.DockerConfig; dir != "" {
			// As the field does: the image library reads the variable.
			if err := os.Setenv("DOCKER_CONFIG", cli.Absolute(dir)); err != nil {
				return fmt.Errorf("--config: %w", err)
			}
		}
		if err := a.Redirect(); err != nil {
			return err
		}
		var ctx context.Context
		ctx, recorder = step.With(cmd.Context(), a.Global.Trace, a.Start)
		cmd.SetContext(ctx)
		if p.hostView(cmd) {
			return nil
		}
		a.Freeing = frees(cmd)
		return a.Enter(ctx)
	}
	err := root.ExecuteContext(context.Background())
	if closeErr := a.Close(); err == nil {
		err = closeErr
	}
	if traceErr := recorder.Write(); err == nil {
		err = traceErr
	}
	report(a.LogErr, err)
	return cli.Code(err)
}

// CalmCollector lets the heap grow to 16 MB before the first garbage collection,
// not to 4: few commands ever reach that, and a run would collect twice.
func CalmCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// hostView says whether the command runs outside the user's namespaces.
func (p Program) hostView(cmd *cobra.Command) bool {
	for c := cmd; c != nil; c = c.Parent() {
		if c.Name() == "completion" || c.Name() == "help" || strings.HasPrefix(c.Name(), "__complete") || p.HostView != nil && p.HostView(c) {
			return true
		}
	}
	return false
}

// frees says whether the command gives room back, which a full disk must not
// prevent. The name says it, in every group. Not cleanup: mostly another command has done
// its work, and who fills the disk would take the room that it borrowed for nothing; it
// borrows when there is something to do.
func frees(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "rm", "rmi", "prune", "reset", "stop", "kill":
		return true
	}
	return false
}

func report(w io.Writer, err error) {
	var many cli.Many
	switch {
	case err == nil || cli.Silent(err):
	case errors.As(err, &many):
		for _, e := range many {
			fmt.Fprintf(w, "Error: %s\n", oneLine(e))
		}
	default:
		fmt.Fprintf(w, "Error: %s\n", oneLine(err))
	}
}

// oneLine keeps the promise that an error is one line.
func oneLine(err error) string {
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	if storage.NoSpace(err) && !strings.Contains(text, "prune") {
		text += ": " + storage.SpaceHint
	}
	return text
}

// newRoot is the tree of those commands that the command line names, or if it names
// none of ours the whole tree.
func newRoot(a *cli.App, nouns []Noun) *cobra.Command {
	root := bareRoot(a)
	a.Want(root.PersistentFlags(), a.Args[1:])
	grow(a, root, nouns)
	if name := a.Wanted(); name != "" && !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == name || c.HasAlias(name) }) {
		root = bareRoot(a)
		a.Want(nil, nil)
		grow(a, root, nouns)
	}
	ownUseLine(root)
	return root
}

func bareRoot(a *cli.App) *cobra.Command {
	root := &cobra.Command{
		Use:   "pod [options] [command]",
		Short: "Run containers without root and without a daemon",
		Long: "pod runs OCI containers, images and pods as an ordinary user, without a daemon.\n" +
			"It takes the commands that podman and docker users know.",
		Example:       "  pod run --rm hello\n  pod run -d -p 8080:80 --name web nginx\n  pod ps",
		Version:       version.Version,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("missing command 'pod COMMAND': `pod --help` lists the commands")
			}
			return unknownCommand(cmd, args[0])
		},
		Args:             cobra.ArbitraryArgs,
		TraverseChildren: true,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetVersionTemplate("pod version {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if cause := flag.Cause(err); cause != err { //nolint:errorlint // is it another one
			return cause
		}
		return fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
	})
	globalFlags(root, &a.Global)
	return root
}

// grow adds the commands.
func grow(a *cli.App, root *cobra.Command, nouns []Noun) {
	for _, commands := range nouns {
		group, aliases := commands(a)
		if group != nil {
			root.AddCommand(group)
		}
		root.AddCommand(aliases...)
	}
}

// ownUseLine keeps cobra from adding "[flags]" to lines that say "[options]".
func ownUseLine(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	for _, sub := range cmd.Commands() {
		ownUseLine(sub)
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	msg := fmt.Sprintf("unrecognized command `%s %s`", cmd.CommandPath(), name)
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("%s: did you mean %s?", msg, strings.Join(near, " or "))
	}
	return fmt.Errorf("%s: `%s --help` lists the commands", msg, cmd.CommandPath())
}

func globalFlags(root *cobra.Command, g *cli.Global) {
	fs := root.PersistentFlags()
	fs.StringVar(&g.CgroupManager, "cgroup-manager", "", "Cgroup manager to use (cgroupfs, systemd)")
	fs.StringVar(&g.Conmon, "conmon", "", "Path of the conmon binary")
	fs.StringVar(&g.EventsBackend, "events-backend", "", "Events backend to use (journald, file, none)")
	fs.StringVar(&g.LogLevel, "log-level", "warn", "Log messages at and above the level (trace, debug, info, warn, error, fatal, panic)")
	fs.StringArrayVar(&g.Modules, "module", nil, "Load the containers.conf(5) module")
	fs.StringVar(&g.Root, "root", "", "Path to the graph root directory where images, containers, etc. are stored")
	fs.StringVar(&g.RunRoot, "runroot", "", "Path to the run root directory where state information is stored")
	fs.StringVar(&g.Runtime, "runtime", "", "Name or path of the OCI runtime (crun, runc, …)")
	fs.StringArrayVar(&g.RuntimeFlags, "runtime-flag", nil, "Global flag to pass to the OCI runtime")
	fs.StringVar(&g.StorageDriver, "storage-driver", "", "Storage driver to use (overlay, vfs)")
	fs.StringArrayVar(&g.StorageOpts, "storage-opt", nil, "Storage driver option")
	fs.StringVar(&g.VolumePath, "volumepath", "", "Path to the directory of the volumes' content")
	fs.StringVar(&g.ImageStore, "imagestore", "", "Path to the 'image store', different from 'graph root', use this to split storing the image into a separate 'image store'")
	fs.StringVar(&g.Out, "out", "", "Send output (stdout) from pod to a file")
	fs.StringVar(&g.Trace, "trace", "", "Write the phases of the command to `FILE` as a Chrome/Perfetto trace")
	fs.StringVar(&g.RegistriesConf, "registries-conf", "", "Path to a registries.conf")
	_ = fs.MarkHidden("registries-conf")
	fs.StringArrayVar(&g.CDISpecDirs, "cdi-spec-dir", nil, "Set the CDI spec directory path (may be set multiple times)")
	fs.StringVar(&g.DockerConfig, "config", "", "Location of the directory of a docker client's configuration, whose authentication is used")
	fs.StringArrayVar(&g.HooksDirs, "hooks-dir", nil, "Set the OCI hooks directory path (may be set multiple times)")
	fs.StringVar(&g.NetworkConfigDir, "network-config-dir", "", "Path of the configuration directory for networks")
	fs.BoolVar(&g.Syslog, "syslog", false, "Output logging information to syslog as well as the console")
	fs.StringVar(&g.TmpDir, "tmpdir", "", "Path to the tmp directory for libpod state content")
	fs.BoolVar(&g.Transient, "transient-store", false, "Enable transient container storage: containers are forgotten when the machine stops")
	flag.Unsupported(fs, "connection", "identity", "network-backend", "remote", "ssh", "url")
}
