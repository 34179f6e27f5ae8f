package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"golang.org/x/term"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/internal/version"
	"github.com/rootless-pod/pod/pkg/doctor"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/storage"
)

type doctorOptions struct {
	json, quiet, fix, list bool
	checks                 []string
}

// doctorReport is what doctor --json prints.
type doctorReport struct {
	Status doctor.Status   `json:"status"`
	Checks []doctor.Result `json:"checks"`
	// Fixed names the checks whose remedy --fix has run, Script is the file
	// with the commands that need root.
	Fixed  []string `json:"fixed,omitempty"`
	Script string   `json:"script,omitempty"`
}

func newDoctor(a *cli.App) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use: "doctor [options]", Short: "Check what pod needs of this host, and say what mends it",
		Long: "Look at everything that pod needs of this host: a line for each thing, with its cause and its\n" +
			"remedy where it is not as it should be. It works where nothing else does.\n\n" +
			"The exit code is 0 if nothing fails, also with warnings, and 1 if a check fails.",
		Example: "  pod doctor\n  pod doctor --check subids\n  pod doctor --fix",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), a, &o) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&o.json, "json", false, "Print the results as JSON")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "Print only what is not as it should be")
	fs.BoolVar(&o.fix, "fix", false, "Mend what needs no root, and write a script for what does")
	fs.BoolVar(&o.list, "list", false, "List the checks")
	fs.StringSliceVar(&o.checks, "check", nil, "Make only the checks with these names")
	return cmd
}

func runDoctor(ctx context.Context, a *cli.App, o *doctorOptions) error {
	checks, err := doctor.Select(o.checks)
	if err != nil {
		return err
	}
	if o.list {
		return listChecks(a, o, checks)
	}
	r := doctorReport{Checks: doctor.Examine(ctx, host(a), checks)}
	var failed []error
	if o.fix {
		failed = r.mend(ctx, a, checks)
	}
	r.Status = doctor.Worst(r.Checks)
	if o.json {
		err = output.JSON(a.Out, r)
	} else {
		r.print(a, o)
	}
	for _, e := range failed {
		a.Warn("%v", e)
	}
	if err == nil && r.Status == doctor.Fail {
		return &cli.Exit{Code: 1}
	}
	return err
}

func listChecks(a *cli.App, o *doctorOptions, checks []doctor.Check) error {
	if o.json {
		return output.JSON(a.Out, checks)
	}
	for _, c := range checks {
		fmt.Fprintf(a.Out, "%-15s %s\n", c.Name, c.About)
	}
	return nil
}

// host gathers where things are. What cannot be told stays empty: no error here
// may keep the other checks from being made.
func host(a *cli.App) *doctor.Host {
	entry := a.Entry()
	h := &doctor.Host{UID: entry.HostUID, GID: entry.HostGID, Inside: entry.Inside, User: strconv.Itoa(entry.HostUID)}
	if u, err := user.LookupId(h.User); err == nil {
		h.User = u.Username
	}
	runtimeDir := os.Getenv("XDG_RUNTIME_DIR")
	h.Env = func(name string) string {
		if name == "XDG_RUNTIME_DIR" {
			return runtimeDir
		}
		return os.Getenv(name)
	}
	self, err := a.Self()
	if err != nil {
		self = a.Args[:1]
	}
	h.Program = self[0]
	if built, err := time.Parse(time.RFC3339, version.Date); err == nil {
		h.Built = built
	}
	if base, err := rootless.RunBase(entry.HostUID); err == nil {
		h.RunBase = base
	}
	if h.RunBase != "" && entry.HostUID != 0 {
		_ = os.Setenv("XDG_RUNTIME_DIR", h.RunBase) // the libraries find their run directory by it
	}
	h.Kernel = &doctor.Real{Entry: entry, RunBase: h.RunBase, Self: self}
	h.ConfigErr = configure(a, h)
	return h
}

// configure reads the configuration as far as it can be read.
func configure(a *cli.App, h *doctor.Host) error {
	var errs []error
	if conf, err := a.Config(); err != nil {
		errs = append(errs, err)
	} else {
		h.Runtime, h.Runtimes = conf.Engine.OCIRuntime, conf.Engine.OCIRuntimes
		h.Conmon, h.HelperDirs = conf.Engine.ConmonPath.Get(), conf.Engine.HelperBinariesDir.Get()
	}
	if a.Global.Runtime != "" {
		h.Runtime = a.Global.Runtime
	}
	if a.Global.Conmon != "" {
		h.Conmon = []string{a.Global.Conmon}
	}
	opts := a.StorageOptions()
	opts.Rootless = h.UID != 0
	paths, err := storage.Locate(opts)
	if err == nil {
		h.GraphRoot, h.RunRoot = paths.Root, paths.RunRoot
		h.Driver, h.DriverOptions, err = storage.Configured(opts)
	}
	errs = append(errs, err)
	_, err = sysregistriesv2.GetRegistries(nil)
	return errors.Join(append(errs, err)...)
}

// mend runs what needs no root, looks again, and writes the script for the rest.
func (r *doctorReport) mend(ctx context.Context, a *cli.App, checks []doctor.Check) []error {
	var failed []error
	unmended := map[string]bool{}
	for _, c := range r.Checks {
		if c.Fix == nil || c.Fix.Root || c.Status != doctor.Warn && c.Status != doctor.Fail {
			continue
		}
		if err := doctor.Mend(ctx, c.Fix); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", c.Name, err))
			unmended[c.Name] = true
			continue
		}
		r.Fixed = append(r.Fixed, c.Name)
	}
	if len(r.Fixed) > 0 {
		r.Checks = doctor.Examine(ctx, host(a), checks)
	}
	h := host(a)
	for i, c := range r.Checks {
		if unmended[c.Name] && c.Fix != nil { // then by root
			r.Checks[i].Fix = &doctor.Fix{Root: true, Commands: c.Fix.Commands}
		}
	}
	text := doctor.Script(h.User, r.Checks)
	if text == "" {
		return failed
	}
	path, err := writeScript(h.RunBase, text)
	if err != nil {
		return append(failed, fmt.Errorf("write the script for root: %w", err))
	}
	r.Script = path
	return failed
}

// writeScript puts the script where only the user can have put it.
func writeScript(base, text string) (string, error) {
	var f *os.File
	var err error
	if base != "" && os.MkdirAll(filepath.Join(base, "pod"), 0o700) == nil {
		path := filepath.Join(base, "pod", "doctor-fix.sh")
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	} else {
		f, err = os.CreateTemp("", "pod-doctor-fix-*.sh")
	}
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	return f.Name(), errors.Join(err, f.Close())
}

// print writes a line for each check, and below it what is wrong and what helps.
func (r *doctorReport) print(a *cli.App, o *doctorOptions) {
	paint := painter(a)
	width, counts := 0, map[doctor.Status]int{}
	for _, c := range r.Checks {
		width = max(width, len(c.Name))
		counts[c.Status]++
	}
	for _, c := range r.Checks {
		bad := c.Status == doctor.Warn || c.Status == doctor.Fail
		if o.quiet && !bad {
			continue
		}
		fmt.Fprintf(a.Out, "%s  %-*s  %s\n", paint(c.Status), width, c.Name, plain(c.Found))
		if !bad && len(o.checks) == 0 {
			continue
		}
		if c.Cause != "" {
			fmt.Fprintf(a.Out, "      cause:  %s\n", plain(c.Cause))
		}
		if c.Remedy != "" {
			fmt.Fprintf(a.Out, "      remedy: %s\n", plain(c.Remedy))
		}
	}
	for _, name := range r.Fixed {
		fmt.Fprintf(a.Out, "mended: %s\n", name)
	}
	if r.Script != "" {
		fmt.Fprintf(a.Out, "what needs root is in %s: read it, then: sudo sh %s\n", r.Script, r.Script)
	}
	if !o.quiet && len(o.checks) == 0 {
		fmt.Fprintf(a.Out, "%d ok, %d warnings, %d failures, %d not needed here\n",
			counts[doctor.OK], counts[doctor.Warn], counts[doctor.Fail], counts[doctor.Skip])
	}
}

// painter colours a status on a terminal whose user has not asked for none.
func painter(a *cli.App) func(doctor.Status) string {
	f, isFile := a.Out.(*os.File)
	colour := isFile && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	codes := map[doctor.Status]string{doctor.OK: "32", doctor.Warn: "33", doctor.Fail: "31", doctor.Skip: "2"}
	return func(s doctor.Status) string {
		text := fmt.Sprintf("%-4s", s)
		if !colour {
			return text
		}
		return "\x1b[" + codes[s] + "m" + text + "\x1b[0m"
	}
}

// plain keeps text that programs and file names gave from steering the terminal,
// and on its line.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
