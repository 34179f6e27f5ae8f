package app

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/rootless"
)

// Noun makes the commands of a noun: a group, if there is one, and those in no group.
type Noun func(*cli.App) (*cobra.Command, []*cobra.Command)

// Program is what a program is made of. What is in it is linked, and initialised by
// each start: package app itself knows no command.
type Program struct {
	Nouns []Noun
	// Early comes before all else. It does what else than a command the program can be
	// called for, as a library's child or by another name, and says whether that was it.
	// Nil: nothing.
	Early func(args []string) (done bool, err error)
	// HostView says whether a command is one that runs outside the user's namespaces,
	// with all below it. Nil: none is.
	HostView func(*cobra.Command) bool
	// Parts are what the commands find in cli.App.
	Parts cli.Parts
}

// Tree is the tree of those commands that a command line names, the program's name
// first, or if it names none of the program's the whole tree: to be read, not executed.
func (p Program) Tree(args []string) *cobra.Command {
	return newRoot(cli.New(rootless.Entry{}, args, time.Now()), p.Nouns)
}
