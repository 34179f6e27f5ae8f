package basic

import (
	"io"
	"time"
)

// The policies of PullOptions.
const (
	PolicyAlways  = "always"
	PolicyMissing = "missing"
	PolicyNever   = "never"
	PolicyNewer   = "newer"
)

// Access is how a registry is reached.
type Access struct {
	// Creds are USER[:PASSWORD] for the registry.
	Creds string
	// TLSVerify nil leaves it to registries.conf.
	TLSVerify *bool
	// Authfile, CertDir and SignaturePolicy replace those of the store of images.
	Authfile, CertDir, SignaturePolicy string
	// Retry bounds retries after network errors; nil is the configured number.
	Retry *uint
	// RetryDelay is the first pause; zero is the configured one.
	RetryDelay time.Duration
}

// PullOptions say how an image is brought here.
type PullOptions struct {
	// Policy is always, missing, never or newer; empty is missing.
	Policy string
	// Platform is OS/ARCH[/VARIANT]; OS, Arch and Variant say it in parts.
	Platform, OS, Arch, Variant string
	// AllTags pulls every tag of the repository.
	AllTags bool
	Access
	// DecryptionKeys are KEY[:PASSPHRASE] of an encrypted image.
	DecryptionKeys []string
	// Quiet writes no progress; else it goes to Progress, as bars when that is
	// a terminal.
	Quiet    bool
	Progress io.Writer
}

// Here says that an image which is here is all that is asked for: no newer one, and
// none for another platform than the machine's.
func (o *PullOptions) Here() bool {
	switch o.Policy {
	case PolicyAlways, PolicyNewer:
		return false
	}
	return o.Platform == "" && o.OS == "" && o.Arch == "" && o.Variant == ""
}
