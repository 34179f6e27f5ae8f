package pod

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func runPrune(ctx context.Context, a *cli.App, force bool) error {
	if !force {
		fmt.Fprint(a.Out, "WARNING! This will remove all stopped/exited pods..\nAre you sure you want to continue? [y/N] ")
		answer, _ := bufio.NewReader(a.In).ReadString('\n')
		if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
			return nil
		}
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	gone, err := e.PrunePods(ctx)
	for _, id := range gone {
		fmt.Fprintln(a.Out, id)
	}
	if err != nil {
		return cli.Many(flatten(err))
	}
	return nil
}
