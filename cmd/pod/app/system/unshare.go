package system

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/storage"
)

func newUnshare(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "unshare [options] [COMMAND [ARG...]]", Short: "Run a command in pod's user namespace",
		Long: "Run a command, or a shell, in the user and mount namespaces in which pod works. The files of\n" +
			"containers have their owners there.",
		Example: "  pod unshare\n  pod unshare cat /proc/self/uid_map",
	}
	cmd.Flags().SetInterspersed(false)
	netns := cmd.Flags().Bool("rootless-netns", false, "Join the network namespace of bridge networks too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runUnshare(cmd.Context(), a, *netns, args) }
	return cmd
}

func runUnshare(ctx context.Context, a *cli.App, netns bool, args []string) error {
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
	if netns {
		err = runInNetNS(ctx, a, args, env)
	} else {
		err = rootless.Exec(args, env)
	}
	var failed *rootless.ExecError
	if errors.As(err, &failed) {
		return &cli.Exit{Code: failed.Code, Err: failed}
	}
	return err
}

func runInNetNS(ctx context.Context, a *cli.App, args, env []string) error {
	path, argv, err := rootless.Command(args)
	if err != nil {
		return err
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	code, err := engine.InUserNet(ctx, path, argv, env)
	if err == nil && code != 0 {
		err = &cli.Exit{Code: code}
	}
	return err
}
