// Package boot holds the commands that bring containers back when the machine
// has started.
package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/boot"
)

const (
	groupVerb = "boot"
	// listVerb lists, within the namespaces, what would start; hidden.
	listVerb = "__list"
)

// Commands returns `pod boot …`.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: groupVerb, Short: "Bring containers back after a reboot",
		Long: "Installs what starts, when the machine has started, the containers whose restart policy is always, or unless-stopped and the user has not stopped them.\n" +
			"With systemd that is a unit of the user, and linger, which also keeps containers when the user logs out; elsewhere a line in the crontab.",
		Example: "  pod boot enable\n  pod boot status", Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
		"enable": newEnable, "disable": newDisable, "status": newStatus, "run": newRun, "ls": newList,
	}), nil
}

// HostView says whether a command is one of ours that runs outside pod's
// namespaces: in them crontab would take the user for root.
func HostView(cmd *cobra.Command) bool {
	parent := cmd.Parent()
	return parent != nil && parent.Name() == groupVerb && slices.Contains([]string{"enable", "disable", "status"}, cmd.Name())
}

func newEnable(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "enable", Short: "Have wanted containers start with the machine",
		Long:    "Installs what starts wanted containers with the machine. To do it again mends what is amiss.",
		Example: "  pod boot enable", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.Boot()
			if err != nil {
				return err
			}
			if err := h.Enable(cmd.Context()); err != nil {
				return err
			}
			s, err := h.Status(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintln(a.Out, s.Where)
			for _, problem := range s.Problems {
				a.Warn("%s", problem)
			}
			return nil
		},
	}
}

func newDisable(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "disable", Short: "Undo enable",
		Long:    "Removes what enable installed. Linger stays, since other services of the user may count on it: `loginctl disable-linger` ends it.",
		Example: "  pod boot disable", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.Boot()
			if err != nil {
				return err
			}
			return h.Disable(cmd.Context())
		},
	}
}

// status is what `boot status --json` shows.
type status struct {
	boot.Status
	Containers []string `json:"containers"`
}

func newStatus(a *cli.App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status [options]", Short: "Show what is installed and what it would start",
		Long:    "Shows what is installed, whether it would work, and which containers it would start. The exit code is 1 if wanted containers would not come back.",
		Example: "  pod boot status\n  pod boot status --json", Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		h, err := a.Boot()
		if err != nil {
			return err
		}
		var s status
		if s.Status, err = h.Status(cmd.Context()); err != nil {
			return err
		}
		if s.Containers, err = wanted(cmd.Context(), h); err != nil {
			return err
		}
		if asJSON {
			err = output.JSON(a.Out, s)
		} else {
			printStatus(a, &s)
		}
		if err == nil && !s.Works {
			return &cli.Exit{Code: 1}
		}
		return err
	}
	return cmd
}

func printStatus(a *cli.App, s *status) {
	yes := map[bool]string{true: "yes", false: "no"}
	row := func(key, value string) { fmt.Fprintf(a.Out, "%-11s %s\n", key+":", value) }
	row("installed", yes[s.Installed])
	if s.Where != "" {
		row("by", s.Mechanism+", "+s.Where)
	}
	if s.Mechanism == boot.Systemd {
		row("linger", yes[s.Linger])
	}
	row("works", yes[s.Works])
	for _, problem := range s.Problems {
		row("problem", problem)
	}
	names := strings.Join(s.Containers, " ")
	if names == "" {
		names = "no container"
	}
	row("starts", names)
}

// wanted asks this program, within the namespaces, what it would start.
func wanted(ctx context.Context, h *boot.Host) ([]string, error) {
	args := append(slices.Clone(h.Argv[1:]), groupVerb, listVerb)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the containers to start: %w", err)
	}
	names := []string{}
	if err := json.Unmarshal(out, &names); err != nil {
		return nil, fmt.Errorf("list the containers to start: %w", err)
	}
	return names, nil
}

func newList(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: listVerb, Short: "List what a boot starts", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			wanted, err := e.WantedAtBoot(cmd.Context())
			if err != nil {
				return err
			}
			names := []string{}
			for _, w := range wanted {
				names = append(names, w.Name)
			}
			return output.JSONLine(a.Out, names)
		},
	}
}
