package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/version"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/unitgen"
)

// deprecated is what the peer says, too: what matches it goes on to work.
const deprecated = "\nDEPRECATED command:\nIt is recommended to use Quadlets for running containers and pods under systemd.\n\nPlease refer to `pod quadlet --help` for details.\n"

// suffix ends the names of the files.
const suffix = ".service"

type systemdOptions struct {
	unitgen.Options
	files       bool
	format      string
	stopTimeout uint
}

func newSystemd(a *cli.App) *cobra.Command {
	var opts systemdOptions
	cmd := &cobra.Command{
		Use: "systemd [options] {CONTAINER|POD}", Short: "Generate systemd units",
		Long: "Prints the unit of a container, or those of a pod and its containers, for systemd. With --new the unit makes its container\n" +
			"from the command line that made it first, and removes it when it stops. Quadlet files are the newer way.",
		Example: "  pod generate systemd --new --name web\n  pod generate systemd --new --files --name shop",
		Args:    cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&opts.After, "after", nil, "Add dependencies order to the generated unit file")
	fs.StringVar(&opts.ContainerPrefix, "container-prefix", "container", "Systemd unit name prefix for containers")
	fs.StringArrayVarP(&opts.Env, "env", "e", nil, "Set environment variables to the systemd unit files")
	fs.BoolVarP(&opts.files, "files", "f", false, "Generate .service files instead of printing to stdout")
	fs.StringVar(&opts.format, "format", "", "Print the created units in specified format (json)")
	fs.BoolVarP(&opts.Names, "name", "n", false, "Use container/pod names instead of IDs")
	fs.BoolVar(&opts.New, "new", false, "Create a new container or pod instead of starting an existing one")
	fs.BoolVar(&opts.NoHeader, "no-header", false, "Skip header generation")
	fs.StringVar(&opts.PodPrefix, "pod-prefix", "pod", "Systemd unit name prefix for pods")
	fs.StringArrayVar(&opts.Requires, "requires", nil, "Similar to wants, but declares stronger requirement dependencies")
	fs.StringVar(&opts.Restart, "restart-policy", "on-failure", "Systemd restart-policy")
	fs.UintVar(&opts.RestartSec, "restart-sec", 0, "Systemd restart-sec")
	fs.StringVar(&opts.Separator, "separator", "-", "Systemd unit name separator between name/id and prefix")
	fs.UintVar(&opts.StartTimeout, "start-timeout", 0, "Start timeout override")
	fs.UintVar(&opts.stopTimeout, "stop-timeout", 10, "Stop timeout override")
	fs.UintVarP(&opts.stopTimeout, "time", "t", 10, "Stop timeout override")
	_ = fs.MarkHidden("time") // there is one
	fs.BoolVar(&opts.Template, "template", false, "Make it a template file and use %i and %I specifiers. Working only for containers")
	fs.StringArrayVar(&opts.Wants, "wants", nil, "Add (weak) requirement dependencies to the generated unit file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runSystemd(cmd, a, &opts, args[0]) }
	return cmd
}

func runSystemd(cmd *cobra.Command, a *cli.App, opts *systemdOptions, name string) error {
	fmt.Fprint(a.Err, deprecated)
	fs, ctx := cmd.Flags(), cmd.Context()
	if opts.format != "" && opts.format != "json" {
		return fmt.Errorf("unknown --format argument: %s: only json is known", opts.format)
	}
	if fs.Changed("stop-timeout") && fs.Changed("time") {
		return errors.New("stop-timeout and time are redundant and cannot be used together")
	}
	if err := opts.Check(); err != nil {
		return err
	}
	if fs.Changed("stop-timeout") || fs.Changed("time") {
		opts.StopTimeout = &opts.stopTimeout
	}
	if !fs.Changed("restart-policy") {
		opts.Restart = ""
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	units, err := units(ctx, a, e, opts, name)
	if err != nil {
		return err
	}
	return writeUnits(a, opts, units)
}

// units finds the container, or else the pod.
func units(ctx context.Context, a *cli.App, e *libpod.Engine, opts *systemdOptions, name string) ([]unitgen.Unit, error) {
	c, err := e.Lookup(ctx, name)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return podUnits(ctx, a, e, opts, name)
	}
	if err != nil {
		return nil, err
	}
	described, err := unitContainer(ctx, a, e, c, opts)
	if err != nil {
		return nil, err
	}
	host, err := unitHost(a, e)
	if err != nil {
		return nil, err
	}
	unit, err := unitgen.ForContainer(&described, &opts.Options, host)
	return []unitgen.Unit{unit}, err
}

func podUnits(ctx context.Context, a *cli.App, e *libpod.Engine, opts *systemdOptions, name string) ([]unitgen.Unit, error) {
	p, err := e.LookupPod(ctx, name)
	var absent state.ErrNoPod
	if errors.As(err, &absent) {
		return nil, fmt.Errorf("%s does not refer to a container or pod: `pod ps -a` and `pod pod ps` list them", name)
	}
	if err != nil {
		return nil, err
	}
	members, err := e.PodMembers(ctx, p)
	if err != nil {
		return nil, err
	}
	described := unitgen.Pod{ID: p.ID, Name: p.Name, Command: p.Spec.CreateCommand}
	for _, c := range members {
		one, err := unitContainer(ctx, a, e, c, opts)
		if err != nil {
			return nil, err
		}
		if c.Spec.IsInfra {
			described.Infra = &one
		} else {
			described.Containers = append(described.Containers, one)
		}
	}
	host, err := unitHost(a, e)
	if err != nil {
		return nil, err
	}
	return unitgen.ForPod(&described, &opts.Options, host)
}

func unitContainer(ctx context.Context, a *cli.App, e *libpod.Engine, c *state.Container, opts *systemdOptions) (unitgen.Container, error) {
	if policy := c.Spec.Restart; !opts.New && !opts.Template && policy != "" && policy != "no" && !c.Spec.IsInfra {
		a.Warn("Container %s has restart policy %q which can lead to issues on shutdown: consider recreating the container without a restart policy and use systemd's restart mechanism instead", c.Name, policy)
	}
	needs, err := e.Dependencies(ctx, c)
	return unitgen.Container{
		ID: c.ID, Name: c.Name, Command: c.Spec.CreateCommand, PIDFile: e.MonitorPIDFile(c), StopTimeout: e.StopTimeout(c),
		InitCtr: c.Spec.InitCtr != "", Needs: needs,
	}, err
}

func unitHost(a *cli.App, e *libpod.Engine) (*unitgen.Host, error) {
	h := &unitgen.Host{
		Program: e.Self, RunRoot: e.RunRoot, Network: "network-online.target", Version: version.Version, Now: time.Now(),
		Environ: os.LookupEnv, All: os.Environ(), Flags: commandFlags{a.Tree, map[string]*cobra.Command{}},
	}
	if e.Session.Rootless {
		h.Network = "pod-user-wait-network-online.service"
	}
	if len(h.Program) == 0 || !filepath.IsAbs(h.Program[0]) {
		return nil, fmt.Errorf("the path of pod, %q, is not absolute", h.Program)
	}
	return h, nil
}

// writeUnits prints units, or writes them to files of the working directory and
// prints the paths. A file with values of the environment is the user's alone.
func writeUnits(a *cli.App, opts *systemdOptions, units []unitgen.Unit) error {
	said := make(map[string]string, len(units))
	for i := range units {
		u := &units[i]
		if len(u.Private) > 0 {
			a.Warn("unit %s has the values that %s had here in it: `pod secret create` keeps what is secret out of units", u.Name+suffix, strings.Join(u.Private, ", "))
		}
		said[u.Name] = u.Text
		if !opts.files {
			continue
		}
		path, err := filepath.Abs(u.Name + suffix)
		if err != nil {
			return fmt.Errorf("find the working directory: %w", err)
		}
		mode := a.FileMode()
		if len(u.Private) > 0 {
			mode &= 0o600
		}
		if err := replaceFile(path, []byte(u.Text), mode); err != nil {
			return err
		}
		said[u.Name] = path
	}
	if opts.format == "json" {
		data, err := json.MarshalIndent(said, "", " ")
		if err != nil {
			return fmt.Errorf("encode units: %w", err)
		}
		fmt.Fprintln(a.Out, string(data))
		return nil
	}
	for i := range units {
		fmt.Fprintln(a.Out, strings.TrimSuffix(said[units[i].Name], "\n"))
	}
	return nil
}

// replaceFile writes a whole file or none, with this mode whatever was there.
func replaceFile(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write unit: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write unit: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// commandFlags tells unitgen of the options of commands; made are those that it was
// asked for.
type commandFlags struct {
	tree func(args []string) *cobra.Command
	made map[string]*cobra.Command
}

// find makes the command of these words; pod itself has none.
func (f commandFlags) find(words []string) *cobra.Command {
	key := strings.Join(words, " ")
	if cmd, ok := f.made[key]; ok {
		return cmd
	}
	args := words
	if len(args) == 0 {
		args = []string{"version"} // any one, which saves the others
	}
	root := f.tree(append([]string{"pod"}, args...))
	cmd, _, err := root.Find(words)
	if err != nil {
		cmd = root
	}
	f.made[key] = cmd
	return cmd
}

func (f commandFlags) lookup(words []string, get func(*pflag.FlagSet) *pflag.Flag) *pflag.Flag {
	cmd := f.find(words)
	for _, fs := range []*pflag.FlagSet{cmd.Flags(), cmd.Root().PersistentFlags()} {
		if flag := get(fs); flag != nil {
			return flag
		}
	}
	return nil
}

// Long implements unitgen.Flags.
func (f commandFlags) Long(words []string, name string) (takes, known bool) {
	flag := f.lookup(words, func(fs *pflag.FlagSet) *pflag.Flag { return fs.Lookup(name) })
	return flag != nil && flag.NoOptDefVal == "", flag != nil
}

// Short implements unitgen.Flags.
func (f commandFlags) Short(words []string, letter byte) string {
	flag := f.lookup(words, func(fs *pflag.FlagSet) *pflag.Flag { return fs.ShorthandLookup(string(letter)) })
	if flag == nil {
		return ""
	}
	return flag.Name
}
