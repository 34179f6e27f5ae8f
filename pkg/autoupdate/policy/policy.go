// Package policy knows the words in which a user asks for updates of a
// container: the labels and their values. Which images a registry can be asked for
// is package reference's matter, what is done about it package autoupdate's.
package policy

import "fmt"

// The labels of a container. They count if the user has set them; those of an
// image are for show.
const (
	Label         = "io.containers.autoupdate"
	AuthfileLabel = "io.containers.autoupdate.authfile"
	// UnitName is the variable in which a unit tells its commands its name, and the
	// label that shows it. As a label it is never read.
	UnitName = "PODMAN_SYSTEMD_UNIT"
)

// Kind is where newer images are looked for.
type Kind string

// The kinds.
const (
	Disabled Kind = "disabled"
	Registry Kind = "registry"
	Local    Kind = "local"
)

// Parse reads the value of Label; image is the old word for registry.
func Parse(value string) (Kind, error) {
	switch value {
	case "", string(Disabled):
		return Disabled, nil
	case string(Registry), "image":
		return Registry, nil
	case string(Local):
		return Local, nil
	}
	return "", fmt.Errorf("invalid auto-update policy %q: valid policies are [%q %q %q %q]", value, Disabled, "image", Local, Registry)
}

// OwnLabels takes the labels that decide on updates from those that a container
// shows, which are those of its image too: unless the user had set them. What is
// made of such labels would take an image's word for the user's.
func OwnLabels(labels map[string]string, kind, authfile string) {
	for label, own := range map[string]string{Label: kind, AuthfileLabel: authfile, UnitName: ""} {
		if own == "" {
			delete(labels, label)
		}
	}
}
