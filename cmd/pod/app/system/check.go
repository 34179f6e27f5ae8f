package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

func newCheck(a *cli.App) *cobra.Command {
	o := libpod.CheckOptions{}
	var age time.Duration
	cmd := &cobra.Command{
		Use: "check [options]", Short: "Check that images and containers are as they were written",
		Long: "Compare layers, images and containers of the store with its lists and digests, and pod's records with\n" +
			"the store. Nothing is changed without --repair or --force; neither removes what is sound.",
		Example: "  pod system check\n  pod system check --quick\n  pod system check --repair",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("max") {
				o.MaxAge = &age
			}
			return runCheck(cmd.Context(), a, o)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&o.Quick, "quick", "q", false, "Skip time-consuming checks")
	fs.BoolVarP(&o.Repair, "repair", "r", false, "Remove damaged images that no container uses, and remains of containers")
	fs.BoolVarP(&o.Force, "force", "f", false, "Remove damaged images and damaged containers")
	fs.DurationVarP(&age, "max", "m", 24*time.Hour, "Maximum allowed age of unreferenced layers")
	return cmd
}

func runCheck(ctx context.Context, a *cli.App, o libpod.CheckOptions) error {
	paths, err := storage.Locate(a.StorageOptions())
	if err != nil {
		return err
	}
	// Before anything opens the records: SQLite reads a damaged file until it
	// comes to the damage.
	if err := state.QuickCheck(ctx, paths.Root); err != nil {
		return fmt.Errorf("damage detected in pod's records: %w: move the file aside to start without records; images stay", err)
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	report, err := e.Check(ctx, o)
	printReport(a.Out, report)
	if err != nil {
		return err
	}
	if len(report.Found) == 0 {
		return nil
	}
	if !o.Repair && !o.Force {
		return errors.New("damage detected in local storage: --repair removes damaged images, --force also damaged containers")
	}
	again := o
	again.Repair, again.Force = false, false
	left, err := e.Check(ctx, again)
	if err != nil {
		return err
	}
	if len(left.Found) == 0 {
		return nil
	}
	d := left.Found[0]
	remedy := "containers use it: --force removes them too"
	if o.Force {
		remedy = "see what uses it with pod ps --all --external"
	}
	return fmt.Errorf("damage in local storage still present after repair attempt: %s %s: %s", d.Kind, d.ID, remedy)
}

// printReport says it in the field's words.
func printReport(w io.Writer, r libpod.CheckReport) {
	for _, d := range r.Found {
		kind := d.Kind
		if d.ReadOnly {
			kind = "read-only " + kind
		}
		fmt.Fprintf(w, "Damaged %s %s:\n", kind, d.ID)
		if len(d.Problems) == 1 {
			fmt.Fprint(w, "1 error occurred:\n")
		} else {
			fmt.Fprintf(w, "%d errors occurred:\n", len(d.Problems))
		}
		for _, problem := range d.Problems {
			fmt.Fprintf(w, "\t* %s\n", problem)
		}
		fmt.Fprintln(w)
	}
	for _, d := range r.Removed {
		fmt.Fprintf(w, "Deleted damaged %s: %s\n", d.Kind, d.ID)
	}
}
