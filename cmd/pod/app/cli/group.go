package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// MissingCommand is what a group does that is called without one of its commands.
func MissingCommand(cmd *cobra.Command, _ []string) error {
	return fmt.Errorf("missing command '%s COMMAND': `%s --help` lists the commands", cmd.CommandPath(), cmd.CommandPath())
}
