package image

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/auth"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/image"
)

func newSign(a *cli.App) *cobra.Command {
	opts := &image.SignOptions{}
	cmd := &cobra.Command{
		Use:   "sign [options] IMAGE [IMAGE...]",
		Short: "Sign an image",
		Long: "Sign images of registries with a key of gpg. The signatures are written into the signature store that\n" +
			"registries.d names for the registry (lookaside-staging), or below a directory; `pod push --sign-by` does both\n" +
			"in one go. Only the manifest is fetched.",
		Example: "  pod image sign --sign-by me@example.com registry.example/team/app:v1\n  pod image sign --sign-by me@example.com -d ./sigs --all registry.example/team/app",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.Key == "" {
				return errors.New("no identity provided: use --sign-by KEY")
			}
			if err := auth.CheckAuthFile(opts.Authfile); err != nil {
				return fmt.Errorf("--authfile: %w", err)
			}
			opts.RegistriesConf = a.Global.RegistriesConf
			var errs []error
			for _, name := range args {
				if err := image.Sign(cmd.Context(), name, *opts); err != nil {
					errs = append(errs, err)
				}
			}
			return failed(errs)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&opts.All, "all", "a", false, "Sign all the manifests of the multi-architecture image")
	fs.StringVar(&opts.Authfile, "authfile", "", "Path of the authentication file. Use REGISTRY_AUTH_FILE environment variable to override")
	fs.StringVar(&opts.CertDir, "cert-dir", "", "`Pathname` of a directory containing TLS certificates and keys")
	fs.StringVarP(&opts.Directory, "directory", "d", "", "Define an alternate directory to store signatures")
	fs.StringVar(&opts.Key, "sign-by", "", "Name of the signing key")
	return cmd
}
