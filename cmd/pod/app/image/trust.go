package image

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/trust"
)

func newTrust(a *cli.App) *cobra.Command {
	group := &cobra.Command{
		Use: "trust", Short: "Manage container image trust policy",
		Long: "Say from which registries images are believed, and which keys must have signed them. The policy is kept in\n" +
			"policy.json: the user's own (~/.config/containers) if there is one, else that of the machine (/etc/containers).\n" +
			"It holds for pull, run, load, import and build.",
		Example: "  pod image trust show\n  pod image trust set --type reject docker.io", Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	group.AddCommand(newTrustShow(a), newTrustSet(a))
	return group
}

type trustShowOptions struct {
	json, noHeading, raw    bool
	policy, registriesDPath string
}

func newTrustShow(a *cli.App) *cobra.Command {
	opts := &trustShowOptions{}
	cmd := &cobra.Command{
		Use:   "show [options] [REGISTRY]",
		Short: "Display trust policy for the system",
		Long: "List the policy: for each registry or repository whether its images are accepted, refused, or must be signed,\n" +
			"by whom, and where signatures are looked for. With REGISTRY only what holds for it, or for a part of it.",
		Example: "  pod image trust show\n  pod image trust show quay.io/team\n  pod image trust show --raw",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return runTrustShow(a, opts, args)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&opts.json, "json", "j", false, "Output as json")
	fs.BoolVarP(&opts.noHeading, "noheading", "n", false, "Do not print column headings")
	fs.BoolVar(&opts.raw, "raw", false, "Output raw policy file")
	fs.StringVar(&opts.policy, "signature-policy", "", "Read this policy instead")
	fs.StringVar(&opts.registriesDPath, "registrypath", "", "Read this directory instead of registries.d")
	fs.Lookup("registrypath").Hidden = true
	return cmd
}

func runTrustShow(a *cli.App, opts *trustShowOptions, args []string) error {
	policy, err := trust.Open(opts.policy)
	if err != nil {
		return err
	}
	if opts.raw {
		_, err := fmt.Fprintln(a.Out, string(policy.Raw))
		return err
	}
	only := ""
	if len(args) > 0 {
		only = args[0]
	}
	entries, err := policy.Entries(only, opts.registriesDPath)
	if err != nil {
		return err
	}
	if opts.json {
		raw, err := json.MarshalIndent(entries, "", "  ")
		if err != nil {
			return fmt.Errorf("write the policy: %w", err)
		}
		_, err = fmt.Fprintln(a.Out, string(raw))
		return err
	}
	var headings []string
	if !opts.noHeading {
		headings = []string{"TRANSPORT", "NAME", "TYPE", "ID", "STORE"}
	}
	rows := make([][]string, 0, len(entries))
	for _, e := range entries {
		rows = append(rows, []string{e.Transport, e.RepoName, e.Type, e.GPGId, e.SignatureStore})
	}
	return output.Rows(a.Out, headings, rows)
}

func newTrustSet(*cli.App) *cobra.Command {
	change := &trust.Change{}
	cmd := &cobra.Command{
		Use:   "set [options] REGISTRY",
		Short: "Set default trust policy or a new trust policy for a registry",
		Long: "Change the policy for a registry, a repository or the default. A user who may not write the machine's policy\n" +
			"gets one of his own, which starts as a copy of it and holds in its place.",
		Example: "  pod image trust set --type reject default\n  pod image trust set --pubkeysfile key.gpg quay.io/team",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			change.Scope = args[0]
			_, err := trust.Set(*change)
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&change.Keys, "pubkeysfile", "f", nil, "Path of installed public key(s) to trust for TARGET: GPG keys, or a sigstore key")
	fs.StringVar(&change.Path, "signature-policy", "", "Change this policy instead")
	fs.StringVarP(&change.Type, "type", "t", trust.SignedBy, "Trust type, accept values: signedBy, sigstoreSigned, accept, reject")
	return cmd
}
