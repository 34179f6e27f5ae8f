package cli

import (
	"context"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completePatience bounds how long a shell waits for names.
const completePatience = 3 * time.Second

// NamesOf completes words to what another command of pod prints, one a line: names.
// Completion is in the host's view, where no store can be opened, so the command is
// run. What it cannot tell is not completed.
func NamesOf(a *App, command ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		self, err := a.Self()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completePatience)
		defer cancel()
		out, err := exec.CommandContext(ctx, self[0], append(self[1:], command...)...).Output() //nolint:gosec // it is pod
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for name := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(name, begun) {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// PodNames completes the names of pods.
func PodNames(a *App) cobra.CompletionFunc {
	return NamesOf(a, "pod", "ps", "--noheading", "--format", "{{.Name}}")
}

// CompletePod has the flag --pod complete to the names of pods.
func CompletePod(a *App, cmd *cobra.Command) *cobra.Command {
	// It fails only if the flag is not there.
	_ = cmd.RegisterFlagCompletionFunc("pod", PodNames(a))
	return cmd
}
