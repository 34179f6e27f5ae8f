package system

import (
	"errors"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/storage"
)

func newUnshare(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "unshare [options] [COMMAND [ARG...]]", Short: "Run a command in pod's user namespace",
		Long: "Run a command, or a shell, in the user and mount namespaces in which pod works. The files of\n" +
			"containers have their owners there.",
		Example: "  pod unshare\n  pod unshare cat /proc/self/uid_map",
		RunE:    func(_ *cobra.Command, args []string) error { return runUnshare(a, args) },
	}
	cmd.Flags().SetInterspersed(false)
	flag.Unsupported(cmd.Flags(), "rootless-netns")
	return cmd
}

func runUnshare(a *cli.App, args []string) error {
	session := a.Session()
	if !session.Rootless {
		return errors.New("please use unshare as an ordinary user: root is in no user namespace of pod")
	}
	paths, err := storage.Locate(a.StorageOptions())
	if err != nil {
		return err
	}
	env := append(os.Environ(), "CONTAINERS_GRAPHROOT="+paths.Root, "CONTAINERS_RUNROOT="+paths.RunRoot)
	syscall.Umask(a.Entry().Umask)
	err = rootless.Exec(args, env)
	var failed *rootless.ExecError
	if errors.As(err, &failed) {
		return &cli.Exit{Code: failed.Code, Err: failed}
	}
	return err
}
