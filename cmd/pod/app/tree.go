package app

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/rootless"
)

// Tree is the tree of all commands, for docs/gen: to be read, not executed.
func Tree() *cobra.Command {
	return newRoot(cli.New(rootless.Entry{}, []string{"pod"}, time.Now()))
}
