package build

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"go.podman.io/buildah/define"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/build/progress"
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

// show returns who is told what happens in the build, and what is to be done
// when it has ended.
func show(a *cli.App, how string, opts *define.BuildOptions) (tell progress.Options, end func(error) error, err error) {
	end = func(error) error { return nil }
	able := opts.Out == a.Out && view.CanDraw(a.Out) && view.IsTerminal(a.Err)
	if how == showAuto {
		if how = showPlain; able && os.Getenv("TERM") != "" {
			how = showTTY
		}
	}
	switch how {
	case showQuiet:
		opts.Quiet = false // or buildah would not say what it does
		tell.Event = (&progress.Quiet{Out: opts.Out, Err: opts.Err}).Event
	case showJSON:
		tell.Event = (&progress.JSON{Out: opts.Out}).Event
	case showTTY:
		if !able {
			return tell, nil, errors.New("--progress tty needs a terminal for standard output and error: use plain or json")
		}
		t := newTerminal(a.Out)
		tell.Event, end = t.Event, t.finish
	default:
		plain := &progress.Plain{Out: opts.Out, Err: opts.Err, Quiet: expected}
		tell = progress.Options{Event: plain.Event, Verbatim: true, Merge: same(opts.Out, opts.Err)}
	}
	return tell, end, nil
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
