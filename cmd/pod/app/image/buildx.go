package image

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/build"
	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/version"
)

// newBuildx is what scripts for docker's build plugin call.
func newBuildx(a *cli.App) *cobra.Command {
	group := &cobra.Command{
		Use: "buildx", Aliases: []string{"builder"}, Hidden: true, Short: "Build images", Long: "The commands of docker buildx that scripts use, as pod has them.",
		Example: "  pod buildx build -t app .\n  pod buildx prune --force", Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	inspect := &cobra.Command{
		Use: "inspect [options]", Short: "Show the builder", Long: "Show the one builder there is, in the words of docker buildx.",
		Example: "  pod buildx inspect", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(a.Out, "Name:   default\nDriver: pod\n\nNodes:\nName:             default\nEndpoint:         default\nStatus:           running\n"+
				"Buildkit version: N/A\nPlatforms:        %s/%s\nLabels: \n", runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
	// pod has no builder that would have to be started first.
	inspect.Flags().Bool("bootstrap", false, "Accepted for docker: no builder has to be started")
	about := &cobra.Command{
		Use: "version", Short: "Show the version", Long: "Show the version of pod, in the words of docker buildx.",
		Example: "  pod buildx version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(a.Out, "pod", version.Version)
			return nil
		},
	}
	group.AddCommand(build.New(a), inspect, newPrune(a), about)
	return group
}
