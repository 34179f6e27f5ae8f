package manifest

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/image"
)

func newRemove(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:     "remove LIST DIGEST",
		Short:   "Remove an item from a manifest list or image index",
		Long:    "Take the member with the digest out of a local list, and print the list's id. The image stays.",
		Example: "  pod manifest remove app:v1 sha256:15352d97781ffdf357bf3459c037be3efac4133dc9070c2dce7eca7c05c3e736",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRemove(cmd.Context(), a, args)
		},
	}
}

func runRemove(ctx context.Context, a *cli.App, args []string) error {
	if err := named(args); err != nil {
		return err
	}
	store, err := lists(ctx, a)
	if err != nil {
		return err
	}
	id, err := store.RemoveMember(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Out, id)
	return nil
}

func newRm(a *cli.App) *cobra.Command {
	opts := &image.RemoveOptions{Lists: true}
	cmd := &cobra.Command{
		Use:     "rm [options] LIST [LIST...]",
		Short:   "Remove manifest lists or image indexes from local storage",
		Long:    "Remove local lists. The images in them stay. Exit code 1: a list does not exist.",
		Example: "  pod manifest rm app:v1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRm(cmd.Context(), a, *opts, args)
		},
	}
	cmd.Flags().BoolVarP(&opts.Ignore, "ignore", "i", false, "Ignore errors when a specified manifest list is missing")
	return cmd
}

func runRm(ctx context.Context, a *cli.App, opts image.RemoveOptions, names []string) error {
	if err := named(names); err != nil {
		return err
	}
	errs, err := library.Remove(ctx, a, opts, names)
	if err != nil {
		return err
	}
	code := 1
	for _, err := range errs {
		if !errors.Is(err, image.ErrNoImage) {
			code = cli.CodeFailure
		}
	}
	if len(errs) > 0 {
		return &cli.Exit{Code: code, Err: cli.Many(errs)}
	}
	return nil
}
