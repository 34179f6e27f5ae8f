// Package build makes images of Containerfiles. The instructions are buildah's
// work; this package gives it the store, the network and the isolation that are
// to be had, and tells what happens, step by step.
package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.podman.io/buildah/define"
	"go.podman.io/buildah/imagebuildah"

	"github.com/rootless-pod/pod/internal/heldir"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/accounts"
	"github.com/rootless-pod/pod/pkg/build/progress"
	"github.com/rootless-pod/pod/pkg/build/reason"
	"github.com/rootless-pod/pod/pkg/build/store"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Request is one build.
type Request struct {
	// Options are buildah's.
	Options define.BuildOptions
	// Files are the paths or URLs of the Containerfiles, joined in order.
	Files []string
	// Key tells this build from others that pod remembers, but for the platform and
	// target; nil remembers nothing.
	Key *reason.Key
	// Warn takes what the user should know and what ends no build.
	Warn func(string)
	// Progress says who is told what happens.
	Progress progress.Options
	// Isolation is what the user wants: auto, oci, rootless or chroot.
	Isolation string
	// Host is what there is to build with.
	Host Host
}

// plannedPrefix begins the directories for containers that are not made yet.
const plannedPrefix = "pod-build-"

// buildTries bounds how often a build begins again after StagingLost.
const buildTries = 3

// Run builds and returns the id of the image.
func Run(ctx context.Context, images *image.Store, r Request) (id string, err error) {
	for range buildTries {
		id, err = run(ctx, images, r)
		if !storage.StagingLost(err) {
			break
		}
		if r.Warn != nil {
			r.Warn("another command removed a file of this build, which begins again: " + err.Error())
		}
	}
	return id, err
}

func run(ctx context.Context, images *image.Store, r Request) (id string, err error) {
	durable, sys, err := images.Builder()
	if err != nil {
		return "", err
	}
	opts := r.Options
	files := parsed(r.Files, opts.ContextDirectory)
	use := containerUse(files, &opts)
	heldir.Sweep(durable.RunRoot(), plannedPrefix, dropContexts)
	scratch, err := heldir.New(durable.RunRoot(), plannedPrefix)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	all, err := watch(ctx, &opts)
	if err != nil {
		return "", err
	}
	defer all.release()
	use.Begin, use.Made, use.Dropping = all.goOn, all.made, all.dropping
	use.Scratch = scratch.Path()
	use.Vet = accounts.Readable
	use.Step = func(name string, f func() error) error { return step.Do(ctx, name, f) }
	lib, err := images.Storage().Library()
	if err != nil {
		return "", err
	}
	working := store.New(lib, durable, use)
	asked := cmp.Or(opts.SignaturePolicyPath, opts.SystemContext.SignaturePolicyPath)
	if opts.SystemContext.SignaturePolicyPath == "" {
		opts.SystemContext.SignaturePolicyPath = sys.SignaturePolicyPath
	}
	if opts.SignaturePolicyPath == "" {
		opts.SignaturePolicyPath = opts.SystemContext.SignaturePolicyPath
	}
	opts.SystemContext.BigFilesTemporaryDir = sys.BigFilesTemporaryDir
	layers, end, err := r.Host.adapt(ctx, r.Isolation, working, &opts)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := sharesNetwork(files, &opts); err != nil {
		return "", err
	}
	r.Options = opts
	remember := r.remember(ctx, layers, &r.Progress)
	overlay := newContextOverlay(scratch.Path(), files, &opts)
	overlay.listen(&r.Progress)
	tap := progress.New(r.Progress)
	opts.Out, opts.Err, opts.ReportWriter = tap.Out(), tap.Err(), tap.Report()
	all.begins(layers, tap.Hush)
	err = all.end(step.Do(all.ctx, "build", func() (err error) { //nolint:contextcheck // the build's own, made of ctx by watch
		defer overlay.end()
		id, _, err = imagebuildah.BuildDockerfiles(all.ctx, overlay.around(layers), opts, r.Files...) //nolint:contextcheck // the same
		return r.Host.explain(ctx, r.Isolation, images.Rejected("", asked, explain(source(ctx, layers, &opts, err))))
	}))
	tap.Close(err)
	if err := remember(); err != nil && r.Warn != nil {
		r.Warn(fmt.Sprintf("the next build cannot say what has changed: %v", err))
	}
	return id, all.close(err) //nolint:contextcheck // what is left is removed after the end
}
