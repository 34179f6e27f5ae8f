package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/build"
	"github.com/rootless-pod/pod/pkg/build/progress"
	"github.com/rootless-pod/pod/pkg/build/verify"
	"github.com/rootless-pod/pod/pkg/image"
)

// canVerify refuses what is more than one image.
func canVerify(r *build.Request) error {
	if len(r.Options.Platforms) > 1 || r.Options.AllPlatforms || r.Options.Manifest != "" {
		return errors.New("--verify of several platforms or of a manifest list is not supported yet: verify one platform at a time")
	}
	return nil
}

// verifyBuild builds again and says what differs.
func verifyBuild(ctx context.Context, images *image.Store, r *build.Request, how, id string) error {
	again := *r
	again.Progress = progress.Options{Event: func(*progress.Event) {}}
	report, err := build.Verify(ctx, images, again, id)
	if err != nil {
		return exitOf(err)
	}
	if how == showJSON {
		enc := json.NewEncoder(r.Options.Out)
		enc.SetEscapeHTML(false)
		err := enc.Encode(struct {
			Kind string `json:"kind"`
			*verify.Report
		}{"verify", report})
		if err != nil {
			return fmt.Errorf("print what differs: %w", err)
		}
	} else if how != showQuiet || !report.Same {
		fmt.Fprint(r.Options.Err, report.Text())
	}
	if !report.Same {
		return &cli.Exit{Code: 1}
	}
	return nil
}
