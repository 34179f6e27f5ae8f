package build

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"go.podman.io/buildah/define"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/build/progress"
	"github.com/rootless-pod/pod/pkg/build/reason"
)

// The values of --progress.
const (
	showAuto  = "auto"
	showPlain = "plain"
	showTTY   = "tty"
	showJSON  = "json"
	showQuiet = "quiet"
)

// shown is how the build is shown. BUILDKIT_PROGRESS is docker's default for the
// flag.
func (f *flags) shown(fs *pflag.FlagSet) (string, error) {
	how, from := f.progress, "--progress"
	if env := os.Getenv("BUILDKIT_PROGRESS"); env != "" && !fs.Changed("progress") {
		how, from = env, "BUILDKIT_PROGRESS"
	}
	switch how {
	case showAuto, showPlain, showTTY, showJSON, showQuiet:
	default:
		return "", fmt.Errorf("%s %q: use auto, plain, tty, json or quiet", from, how)
	}
	if f.build.Quiet {
		return showQuiet, nil
	}
	return how, nil
}

// show returns who is told what happens in the build.
func show(a *cli.App, how string, opts *define.BuildOptions) (progress.Options, error) {
	switch how {
	case showQuiet:
		opts.Quiet = false // or buildah would not say what it does
		return progress.Options{Event: (&progress.Quiet{Out: opts.Out, Err: opts.Err}).Event}, nil
	case showJSON:
		return progress.Options{Event: (&progress.JSON{Out: opts.Out}).Event}, nil
	case showTTY:
		return progress.Options{}, fmt.Errorf("--progress tty needs a terminal for standard output: use plain or json")
	}
	plain := &progress.Plain{Out: opts.Out, Err: opts.Err, Quiet: expected}
	return progress.Options{Event: plain.Event, Verbatim: true, Merge: same(opts.Out, opts.Err)}, nil
}

// same says whether two writers end in the same file, so that the order of what
// is written to them can be seen.
func same(a, b io.Writer) bool {
	x, isFile := a.(*os.File)
	y, isOther := b.(*os.File)
	if !isFile || !isOther {
		return false
	}
	xs, err := x.Stat()
	if err != nil {
		return false
	}
	ys, err := y.Stat()
	return err == nil && os.SameFile(xs, ys)
}

// expected says that a step is not cached for a reason that the user knows.
func expected(why string) bool {
	return why == reason.First || why == reason.NoCache || reason.Follows(why)
}
