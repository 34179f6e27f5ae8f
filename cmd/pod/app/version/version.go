// Package version is the command that tells which pod this is.
package version

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/internal/version"
)

// versions is the value of version's --format. There is no server, as there is
// no daemon.
type versions struct {
	Client version.Info
	Server *version.Info `json:",omitempty"`
}

// Commands returns `pod version`.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	return nil, a.Top(cli.Verbs{"version": newVersion})
}

func newVersion(a *cli.App) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "version [options]", Short: "Display pod's version", Long: "Display the version of pod and how it was built.",
		Example: "  pod version\n  pod version --format '{{.Client.Version}}'",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return runVersion(a, format) },
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "Change the output format to JSON or a Go template")
	return cmd
}

func runVersion(a *cli.App, format string) error {
	v := versions{Client: version.Get()}
	if format != "" {
		return output.Value(a.Out, v, format)
	}
	w := tabwriter.NewWriter(a.Out, 0, 2, 2, ' ', 0)
	fmt.Fprintf(w, "Client:\tPod\nVersion:\t%s\nAPI Version:\t%s\nGo Version:\t%s\n", v.Client.Version, v.Client.APIVersion, v.Client.GoVersion)
	if v.Client.GitCommit != "" {
		fmt.Fprintf(w, "Git Commit:\t%s\n", v.Client.GitCommit)
	}
	if v.Client.Built > 0 {
		fmt.Fprintf(w, "Built:\t%s\n", v.Client.BuiltTime)
	}
	fmt.Fprintf(w, "OS/Arch:\t%s\n", v.Client.OsArch)
	return w.Flush()
}
