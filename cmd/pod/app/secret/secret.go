// Package secret holds the commands on secrets.
package secret

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/secret"
)

// Commands returns `pod secret …`; there are no top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "secret", Short: "Manage secrets",
		Long:    "Keep passwords and keys, and give them to containers without their being in an image, a record or a log.",
		Example: "  pod secret create db-password password.txt\n  pod run --secret db-password postgres",
		Args:    cobra.NoArgs,
		RunE:    cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
		"create": newCreate, "exists": newExists, "inspect": newInspect, "ls": newList, "rm": newRm,
	}), nil
}

func open(ctx context.Context, a *cli.App) (*secret.Store, error) {
	e, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	return e.Secrets()
}

type createOptions struct {
	secret.Options
	env bool
}

func newCreate(a *cli.App) *cobra.Command {
	opts := &createOptions{}
	var labels []string
	cmd := &cobra.Command{
		Use: "create [options] NAME FILE|-", Short: "Create a new secret",
		Long: "Keep the content of a file, of standard input (-) or, with --env, of a variable as a secret, and print its id.\n" +
			"The driver file keeps it as it is in a file that only its owner reads, pass encrypts it with gpg in a password store, shell leaves it to commands.",
		Example: "  pod secret create db-password password.txt\n  printf %s \"$PASSWORD\" | pod secret create db-password -\n  pod secret create --env db-password PASSWORD",
		Args:    cobra.ExactArgs(2),
	}
	fs := cmd.Flags()
	fs.StringVarP(&opts.Driver, "driver", "d", "", "Specify secret driver (default as containers.conf says, file)")
	fs.StringToStringVar(&opts.DriverOptions, "driver-opts", nil, "Specify driver specific options")
	fs.BoolVar(&opts.env, "env", false, "Read secret data from environment variable")
	fs.BoolVar(&opts.Ignore, "ignore", false, "If a secret with the same name exists, ignore and do not create a new secret")
	fs.StringArrayVarP(&labels, "label", "l", nil, "Specify labels on the secret")
	fs.BoolVar(&opts.Replace, "replace", false, "If a secret with the same name exists, replace it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if opts.Labels, err = flag.KeyValues("label", labels); err != nil {
			return err
		}
		return runCreate(cmd.Context(), a, opts, args[0], args[1])
	}
	return cmd
}

func runCreate(ctx context.Context, a *cli.App, opts *createOptions, name, source string) error {
	data, err := content(a, opts.env, source)
	if err != nil {
		return err
	}
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	id, err := store.Create(name, data, opts.Options)
	if err != nil {
		return err
	}
	a.Record(events.Secret, events.Create, id, name)
	fmt.Fprintln(a.Out, id)
	return nil
}

// content reads the secret from where the user has it.
func content(a *cli.App, env bool, source string) ([]byte, error) {
	if env {
		value, ok := os.LookupEnv(source)
		if !ok {
			return nil, fmt.Errorf("cannot create store secret data: environment variable %s is not set", source)
		}
		return []byte(value), nil
	}
	in := a.In
	if source != "-" {
		f, err := os.Open(source)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	} else if info, err := in.Stat(); err != nil || info.Mode()&os.ModeCharDevice != 0 {
		return nil, errors.New("if `-` is used, data must be passed into stdin")
	}
	return secret.Read(in)
}

func newExists(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "exists SECRET", Short: "Check if a secret exists in local storage", Long: "Ends with 0 if the secret exists, and with 1 if not.",
		Example: "  pod secret exists db-password", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := open(cmd.Context(), a)
			if err != nil {
				return err
			}
			_, err = store.Lookup(args[0])
			if secret.IsAbsent(err) {
				return cli.Exists(false, nil)
			}
			return cli.Exists(err == nil, err)
		},
	}
}

func newRm(a *cli.App) *cobra.Command {
	var all, ignore bool
	cmd := &cobra.Command{
		Use: "rm [options] SECRET [SECRET...]", Aliases: []string{"remove"}, Short: "Remove one or more secrets",
		Long:    "Remove secrets, and print their ids. Containers that have them keep what they have.",
		Example: "  pod secret rm db-password\n  pod secret rm --all",
	}
	fs := cmd.Flags()
	flag.All(fs, &all, "a", "Remove all secrets")
	fs.BoolVarP(&ignore, "ignore", "i", false, "Ignore errors when a specified secret is missing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runRm(cmd.Context(), a, all, ignore, args) }
	return cmd
}

func runRm(ctx context.Context, a *cli.App, all, ignore bool, names []string) error {
	if all == (len(names) > 0) {
		return errors.New("`pod secret rm` requires one argument, or the --all flag")
	}
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	if all {
		found, err := store.List(nil)
		if err != nil {
			return err
		}
		for _, s := range found {
			names = append(names, s.ID)
		}
	}
	var failed cli.Many
	for _, name := range names {
		id, err := store.Remove(name)
		if err != nil {
			if !ignore || !secret.IsAbsent(err) {
				failed = append(failed, err)
			}
			continue
		}
		a.Record(events.Secret, events.Remove, id, name)
		fmt.Fprintln(a.Out, id)
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}
