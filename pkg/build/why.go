package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/buildah/define"
	"go.podman.io/buildah/pkg/parse"
	"go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/build/plan"
	"github.com/rootless-pod/pod/pkg/build/progress"
	"github.com/rootless-pod/pod/pkg/build/reason"
	"github.com/rootless-pod/pod/pkg/image"
)

// maxContainerfile is more than anybody writes.
const maxContainerfile = 16 << 20

// Plans says what a build would do, for each platform.
func (r *Request) Plans(ctx context.Context) ([]*plan.Plan, error) {
	var files [][]byte
	for _, name := range r.Files {
		data, err := r.read(ctx, name)
		if err != nil {
			return nil, err
		}
		files = append(files, data)
	}
	o := plan.Options{
		Args: r.Options.Args, Contexts: r.Options.AdditionalBuildContexts, From: r.Options.From, Target: r.Options.Target,
		SkipUnused: r.Options.SkipUnusedStages,
	}
	platforms := r.Options.Platforms
	if len(platforms) == 0 {
		platforms = append(platforms, struct{ OS, Arch, Variant string }{})
	}
	var plans []*plan.Plan
	for _, p := range platforms {
		o.OS, o.Architecture, o.Variant = p.OS, p.Arch, p.Variant
		one, err := plan.Parse(files, &o)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what is wrong with the Containerfile
		}
		plans = append(plans, one)
	}
	return plans, nil
}

// read returns a Containerfile as buildah finds it.
func (r *Request) read(ctx context.Context, name string) ([]byte, error) {
	var in io.ReadCloser
	switch {
	case image.OnWeb(name):
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, name, http.NoBody)
		if err != nil {
			return nil, fmt.Errorf("the Containerfile: %w", err)
		}
		answer, err := http.DefaultClient.Do(request) //nolint:bodyclose // closed as in, below
		if err != nil {
			return nil, fmt.Errorf("the Containerfile: %w", err)
		}
		in = answer.Body
	default:
		f, err := os.Open(name)
		if err != nil && !strings.HasPrefix(name, r.Options.ContextDirectory) {
			f, err = os.Open(filepath.Join(r.Options.ContextDirectory, name))
		}
		if err != nil {
			return nil, fmt.Errorf("the Containerfile: %w", err)
		}
		in = f
	}
	defer in.Close() //nolint:errcheck // read only
	if strings.HasSuffix(name, ".in") {
		return preprocessed(ctx, name, io.LimitReader(in, maxContainerfile), &r.Options)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxContainerfile))
	if err != nil {
		return nil, fmt.Errorf("the Containerfile %s: %w", name, err)
	}
	return data, nil
}

// tellers are those of the platforms.
type tellers map[string]*reason.Teller

// remember has the events say why steps are not cached, and returns what is to be
// done after the build. What cannot be read here is buildah's to complain of.
func (r *Request) remember(ctx context.Context, store storage.Store, o *progress.Options) (done func() error) {
	nothing := func() error { return nil }
	if r.Key == nil || !r.Options.Layers {
		return nothing
	}
	for _, name := range r.Files {
		if strings.Contains(name, "://") {
			return nothing
		}
	}
	plans, err := r.Plans(ctx)
	if err != nil {
		return nothing
	}
	excludes := r.Options.Excludes
	if len(excludes) == 0 {
		if excludes, _, err = parse.ContainerIgnoreFile(r.Options.ContextDirectory, r.Options.IgnoreFile, r.Files); err != nil {
			return nothing
		}
	}
	all := tellers{}
	for _, p := range plans {
		key := *r.Key
		key.Platform, key.Target = p.Platform, r.Options.Target
		named := p.Platform
		if len(plans) == 1 {
			named = "" // events of a lone platform name none
		}
		all[named] = reason.Watch(ctx, &reason.Options{
			GraphRoot: store.GraphRoot(), Key: key, Plan: p, Dir: r.Options.ContextDirectory, Excludes: excludes,
			NoCache: r.Options.NoCache, Args: r.Options.Args, Options: flagTexts(&r.Options),
			Image: func(name string) string { return imageID(store, name) },
		})
	}
	tell := o.Event
	o.Event = func(e *progress.Event) {
		if t := all[e.Platform]; t != nil {
			t.Event(e)
		}
		tell(e)
	}
	o.Why = func(e *progress.Event) string {
		if t := all[e.Platform]; t != nil {
			return t.Why(e)
		}
		return ""
	}
	return func() error {
		return step.Do(ctx, "build.record", func() error {
			var errs []error
			for _, t := range all {
				errs = append(errs, t.Save())
			}
			return errors.Join(errs...)
		})
	}
}

// flagTexts are flags that go into the history of the image, or its layers.
func flagTexts(o *define.BuildOptions) map[string]string {
	texts := map[string]string{}
	for name, value := range map[string]any{
		"--annotation": o.Annotations, "--unsetannotation": o.UnsetAnnotations, "--unsetenv": o.UnsetEnvs, "--unsetlabel": o.UnsetLabels,
		"--layer-label": o.LayerLabels, "--format": o.OutputFormat, "--rewrite-timestamp": o.RewriteTimestamp,
		"--inherit-labels": o.InheritLabels, "--inherit-annotations": o.InheritAnnotations,
	} {
		texts[name] = fmt.Sprint(value)
	}
	if o.Timestamp != nil {
		texts["--timestamp"] = o.Timestamp.String()
	}
	if o.SourceDateEpoch != nil {
		texts["--source-date-epoch"] = o.SourceDateEpoch.String()
	}
	return texts
}

// imageID is the id of an image that is in the store, by a name as it stands in
// a Containerfile, or the beginning of the id.
func imageID(store storage.Store, name string) string {
	candidates := []string{name}
	if name = strings.TrimPrefix(name, "docker://"); !strings.Contains(name, "@") && !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		name += ":latest"
	}
	for _, prefix := range []string{"", "localhost/", "docker.io/library/", "docker.io/"} {
		candidates = append(candidates, prefix+name)
	}
	for _, candidate := range candidates {
		if img, err := store.Image(candidate); err == nil {
			return img.ID
		}
	}
	return ""
}
