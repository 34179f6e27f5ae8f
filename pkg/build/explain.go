package build

import (
	"slices"
	"strings"
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
