package build

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/build"
	"github.com/rootless-pod/pod/pkg/build/progress"
	"github.com/rootless-pod/pod/pkg/build/verify"
	"github.com/rootless-pod/pod/pkg/image"
)

// verifyBuild builds again and says what differs.
func verifyBuild(ctx context.Context, images *image.Store, r *build.Request, how string, first []string) error {
	again := *r
	again.Progress = progress.Options{Event: func(*progress.Event) {}}
	reports, err := build.Verify(ctx, images, again, first)
	if err != nil {
		return exitOf(err)
	}
	same := true
	for _, report := range reports {
		if err := printReport(r.Options.Out, r.Options.Err, how, report); err != nil {
			return err
		}
		same = same && report.Same
	}
	if !same {
		return &cli.Exit{Code: 1}
	}
	return nil
}

// printReport says what differs, or that nothing does.
func printReport(out, errOut io.Writer, how string, report *verify.Report) error {
	if how == showJSON {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		err := enc.Encode(struct {
			Kind string `json:"kind"`
			*verify.Report
		}{"verify", report})
		if err != nil {
			return fmt.Errorf("print what differs: %w", err)
		}
	} else if how != showQuiet || !report.Same {
		fmt.Fprint(errOut, report.Text())
	}
	return nil
}
