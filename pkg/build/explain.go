package build

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.podman.io/buildah/define"
	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/config"
	"go.podman.io/storage"
)

// explain takes Go's own view of instructions and requests out of an error of
// buildah's, and of several errors those that only follow from the others.
func explain(err error) error {
	if err == nil {
		return nil
	}
	text, _, _ := strings.Cut(err.Error(), " &imagebuilder.Step{")
	text = strings.Replace(text, "Build error: ", "", 1)
	text = causes(withoutRequests(withoutSteps(text)))
	if text == err.Error() {
		return err
	}
	return &stepError{text: text, cause: err}
}

// stepError is an error of buildah in fewer words.
type stepError struct {
	text  string
	cause error
}

func (e *stepError) Error() string { return e.text }
func (e *stepError) Unwrap() error { return e.cause }

// withoutSteps writes an instruction as the Containerfile does.
func withoutSteps(text string) string {
	before, rest, found := strings.Cut(text, "step {Env:[")
	if !found {
		return text
	}
	_, rest, found = strings.Cut(rest, " Original:")
	if !found {
		return text
	}
	instruction, after, found := strings.Cut(rest, "}: ")
	if !found {
		return text
	}
	return before + "STEP \"" + instruction + "\": " + after
}

// withoutRequests leaves out what buildah has asked the process that copies.
func withoutRequests(text string) string {
	const begin, end = "error during bulk transfer for copier.request{", "}}: "
	for {
		before, rest, found := strings.Cut(text, begin)
		if !found {
			return text
		}
		_, after, found := strings.Cut(rest, end)
		if !found {
			return text
		}
		text = before + after
	}
}

// causes keeps of "N errors occurred" those that are no consequence: the one side
// of a pipe has an error of its own when the other has gone.
func causes(text string) string {
	before, list, found := strings.Cut(text, " errors occurred:\n\t* ")
	if !found {
		return text
	}
	all := strings.Split(strings.TrimSpace(list), "\n\t* ")
	own := slices.DeleteFunc(slices.Clone(all), func(one string) bool {
		return strings.Contains(one, "broken pipe") || strings.Contains(one, "closed pipe")
	})
	if len(own) == 0 {
		own = all
	}
	// What is before ends with their number.
	return before[:strings.LastIndexByte(before, ' ')+1] + strings.Join(own, "; ")
}

// source adds to the error of a step that names an image beside FROM why it could not
// be had: buildah keeps that to itself, so it is asked for once more.
func source(ctx context.Context, layers storage.Store, opts *define.BuildOptions, err error) error {
	if err == nil || ctx.Err() != nil || opts.PullPolicy == define.PullNever {
		return err
	}
	match := regexp.MustCompile(` (?:--)?from=(\S+): no stage or image found with that name`).FindStringSubmatch(err.Error())
	if match == nil {
		return err
	}
	images, newErr := libimage.RuntimeFromStore(layers, &libimage.RuntimeOptions{SystemContext: opts.SystemContext})
	if newErr != nil {
		return err //nolint:nilerr // the first error says more
	}
	_, why := images.Pull(ctx, match[1], config.PullPolicyMissing, nil)
	if why == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, why)
}
