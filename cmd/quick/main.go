// Quick does the commands that are called most in pod's place. It links less, so that it
// starts in less time; what it cannot do it hands over to pod. pod's constructor
// (pkg/rootless/nsenter) executes it, users do not.
package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app"
	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/container"
	"github.com/rootless-pod/pod/cmd/pod/app/version"
	"github.com/rootless-pod/pod/internal/sysmon"
	"github.com/rootless-pod/pod/pkg/rootless/nsenter"
)

func main() {
	start := time.Now()
	_ = sysmon.Relax() // without the right to it, the command takes more of the processor
	os.Exit(app.Main(program(), nsenter.Entry(), os.Args, start))
}

func program() app.Program {
	return app.Program{
		Nouns: []app.Noun{containers, version.Commands},
		Parts: cli.Parts{Images: openImages, Inspect: inspect, Collect: collect, Begin: begin, CheckUpdates: checkUpdates},
	}
}

func containers(a *cli.App) (*cobra.Command, []*cobra.Command) { return container.Commands(a, nil) }
