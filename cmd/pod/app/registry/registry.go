// Package registry holds the commands about accounts at registries.
package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/auth"
	"go.podman.io/image/v5/types"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/image"
)

// Commands returns the top-level commands; they have no group.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	return nil, a.Top(cli.Verbs{"login": newLogin, "logout": newLogout})
}

type loginOptions struct {
	auth.LoginOptions
	tlsVerify bool
	secret    string
}

func newLogin(a *cli.App) *cobra.Command {
	opts := &loginOptions{}
	cmd := &cobra.Command{
		Use:   "login [options] [REGISTRY]",
		Short: "Log in to a container registry",
		Long: "Check a name and a password at a registry and keep them in auth.json, which podman, buildah and skopeo\n" +
			"read too. What is not given is asked for.",
		Example: "  pod login quay.io\n  pod login --username me --password-stdin registry.example < secret",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLogin(cmd.Context(), a, opts, cmd.Flags().Changed("tls-verify"), args)
		},
	}
	fs := cmd.Flags()
	fs.AddFlagSet(auth.GetLoginFlags(&opts.LoginOptions))
	fs.BoolVar(&opts.tlsVerify, "tls-verify", false, "Require HTTPS and verify certificates when contacting registries")
	fs.StringVar(&opts.secret, "secret", "", "Retrieve password from a secret")
	return cmd
}

func runLogin(ctx context.Context, a *cli.App, opts *loginOptions, tlsSet bool, args []string) error {
	sys := &types.SystemContext{SystemRegistriesConfPath: a.Global.RegistriesConf}
	if tlsSet {
		sys.DockerInsecureSkipTLSVerify = types.NewOptionalBool(!opts.tlsVerify)
	}
	if opts.secret != "" {
		if opts.StdinPassword || opts.Password != "" {
			return errors.New("--secret cannot be used with --password-stdin or --password")
		}
		if opts.Username == "" {
			opts.Username = opts.secret // as in the field
		}
		e, err := a.Engine(ctx)
		if err != nil {
			return err
		}
		data, err := e.SecretData(opts.secret)
		if err != nil {
			return err
		}
		opts.Password = string(data)
	}
	opts.Stdin, opts.Stdout = a.In, a.Out
	opts.AcceptRepositories, opts.AcceptUnspecifiedRegistry = true, true
	return explain("login", args, auth.Login(ctx, sys, &opts.LoginOptions, args))
}

func newLogout(a *cli.App) *cobra.Command {
	opts := &auth.LogoutOptions{}
	cmd := &cobra.Command{
		Use:     "logout [options] [REGISTRY]",
		Short:   "Log out of a container registry",
		Long:    "Forget the name and the password of a registry, or with --all of all registries.",
		Example: "  pod logout quay.io\n  pod logout --all",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return runLogout(a, opts, args)
		},
	}
	cmd.Flags().AddFlagSet(auth.GetLogoutFlags(opts))
	return cmd
}

func runLogout(a *cli.App, opts *auth.LogoutOptions, args []string) error {
	sys := &types.SystemContext{SystemRegistriesConfPath: a.Global.RegistriesConf}
	opts.Stdout = a.Out
	opts.AcceptRepositories, opts.AcceptUnspecifiedRegistry = true, true
	return explain("logout", args, auth.Logout(sys, opts, args))
}

// explain makes one line of what the registry or the network says. The
// library's own refusals are plain already.
func explain(verb string, args []string, err error) error {
	var refused auth.ErrNewCredentialsInvalid
	if err == nil || errors.As(err, &refused) || len(args) == 0 {
		return err
	}
	var plain *image.Error
	if out := image.Explain(args[0], err); errors.As(out, &plain) && plain.Reason != err.Error() {
		return fmt.Errorf("%s %w", verb, out)
	}
	return err
}
