package quadlet

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Generator is a generator of systemd's.
type Generator struct {
	Host
	Name   string   // that it was called by
	Dirs   []string // its arguments: normal-dir early-dir late-dir
	DryRun bool
	Out    io.Writer
	Log    *Log
}

// Run makes the services of all Quadlet files. A file that is wrong has no service,
// and Run says so at the end; the others' are made.
func (g *Generator) Run() error {
	if !g.DryRun && len(g.Dirs) == 0 {
		return g.failed(errors.New("missing output directory argument: call it with --dryrun, or leave it to systemd"))
	}
	set, problems := Load(g.Host)
	wrong := g.report(problems)
	for _, u := range set.Units {
		g.Log.Debug("Loading source unit file " + u.Path)
		for _, path := range u.DropIns {
			g.Log.Debug("Loading source drop-in file " + path)
		}
	}
	if len(set.Units) == 0 {
		g.Log.Debug("No Quadlet files found")
		return wrong
	}
	peer := g.PeerGenerator()
	mine, err := set.Mine(peer)
	if err != nil {
		wrong = g.failed(err)
	}
	var services []*Service
	var left []string
	for _, r := range set.Convert() {
		if g.DryRun || mine[r.Unit] {
			if err := g.report(r.Problems); err != nil {
				wrong = err
			}
		}
		switch {
		case r.Service == nil:
		case g.DryRun:
			fmt.Fprintf(g.Out, "---%s---\n%s\n", r.Service.Name, r.Service.Text)
		case mine[r.Unit]:
			services = append(services, r.Service)
		default:
			left = append(left, r.Unit.Name)
		}
	}
	if len(left) > 0 {
		g.Log.Info(fmt.Sprintf("left to %s, which is installed too: %s; `pod quadlet install` makes a file pod's", peer, strings.Join(left, " ")))
	}
	if g.DryRun || len(services) == 0 {
		return wrong
	}
	if err := Write(g.output(peer), g.Name, services); err != nil {
		wrong = g.failed(err)
	}
	return wrong
}

// output is where services go. Those beside podman's generator go where they count
// before what it writes.
func (g *Generator) output(peer string) string {
	if peer != "" && len(g.Dirs) > 1 {
		return g.Dirs[1]
	}
	return g.Dirs[0]
}

// errReported is that the log has what is wrong.
var errReported = errors.New("see the messages")

// report logs problems, and fails if one is no mere warning.
func (g *Generator) report(problems []Problem) error {
	var err error
	for _, p := range problems {
		if !p.Warning {
			err = errReported
		}
		g.Log.Problem(p)
	}
	return err
}

func (g *Generator) failed(err error) error {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		g.Log.Error(line)
	}
	return errReported
}
