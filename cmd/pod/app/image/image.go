// Package image holds the commands on images, in their image form and as
// top-level commands.
package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.podman.io/common/pkg/auth"

	"github.com/rootless-pod/pod/cmd/pod/app/build"
	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

// Commands returns `pod image …` and the top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "image", Short: "Manage images", Long: "Manage images: bring them here, list, name, save and remove them.",
		Example: "  pod image ls\n  pod image prune --all", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return fmt.Errorf("missing command '%s COMMAND': `%s --help` lists the commands", cmd.CommandPath(), cmd.CommandPath())
		},
	}
	group.AddCommand(build.New(a), newDiff(a), newExists(a), newInspect(a), newPrune(a), newList(a, "list"), newRm(a, "rm"))
	aliases := []*cobra.Command{newBuildx(a), newList(a, "images"), newRm(a, "rmi")}
	for _, both := range []func(*cli.App) *cobra.Command{newImport, newLoad, newPull, newSave, newTag, newUntag} {
		group.AddCommand(both(a))
		aliases = append(aliases, both(a))
	}
	return group, aliases
}

// record writes an event about an image; that it could not be written is only
// worth a warning.
func record(a *cli.App, status events.Status, id, name string) {
	log, err := a.Events()
	if err == nil {
		err = log.Write(events.Event{Type: events.Image, Status: status, ID: id, Name: name})
	}
	if err != nil {
		a.Warn("the event %s of image %s was not recorded: %v", status, name, err)
	}
}

// recordNamed is record for an image of which only the name is known.
func recordNamed(ctx context.Context, a *cli.App, images *image.Store, status events.Status, name string) {
	id := ""
	if config, err := images.Resolve(ctx, name); err == nil {
		id = config.ID
	}
	record(a, status, id, name)
}

// access is how a registry is reached; pull, and later push, have it.
type access struct {
	authfile, certDir, creds, policy string
	tlsVerify                        bool
	retry                            uint
	retryDelay                       string
}

func (o *access) add(fs *pflag.FlagSet) {
	fs.StringVar(&o.authfile, "authfile", "", "Path of the authentication file. Use REGISTRY_AUTH_FILE environment variable to override")
	fs.StringVar(&o.certDir, "cert-dir", "", "`Pathname` of a directory containing TLS certificates and keys")
	fs.StringVar(&o.creds, "creds", "", "`Credentials` (USERNAME:PASSWORD) to use for authenticating to a registry")
	fs.BoolVar(&o.tlsVerify, "tls-verify", true, "Require HTTPS and verify certificates when contacting registries")
	fs.UintVar(&o.retry, "retry", 3, "Number of times to retry in case of failure when performing pull")
	fs.StringVar(&o.retryDelay, "retry-delay", "", "Delay between retries in case of pull failures")
	signaturePolicy(fs, &o.policy)
}

// signaturePolicy adds the hidden flag of that name.
func signaturePolicy(fs *pflag.FlagSet, to *string) {
	fs.StringVar(to, "signature-policy", "", "`Pathname` of signature policy file")
	fs.Lookup("signature-policy").Hidden = true
}

// fill puts the flags into the options of a pull.
func (o *access) fill(fs *pflag.FlagSet, to *image.PullOptions) error {
	if err := auth.CheckAuthFile(o.authfile); err != nil {
		return fmt.Errorf("--authfile: %w", err)
	}
	to.Authfile, to.CertDir, to.Creds, to.SignaturePolicy = o.authfile, o.certDir, o.creds, o.policy
	if fs.Changed("tls-verify") {
		to.TLSVerify = &o.tlsVerify
	}
	if fs.Changed("retry") {
		to.Retry = &o.retry
	}
	if o.retryDelay != "" {
		delay, err := time.ParseDuration(o.retryDelay)
		if err != nil {
			return fmt.Errorf("--retry-delay %q is not a duration: use a number and a unit, as in 5s", o.retryDelay)
		}
		to.RetryDelay = delay
	}
	return nil
}

// terminal says whether f is a terminal.
func terminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0 && file.Name() != os.DevNull
}

// failed joins the errors of several objects.
func failed(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return cli.Many(errs)
}

// absentOrUsed gives the exit code for errors of removal.
func absentOrUsed(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	code := 1
	for _, err := range errs {
		switch {
		case errors.Is(err, image.ErrInUse):
			return &cli.Exit{Code: 2, Err: cli.Many(errs)}
		case !errors.Is(err, image.ErrNoImage):
			code = cli.CodeFailure
		}
	}
	return &cli.Exit{Code: code, Err: cli.Many(errs)}
}
