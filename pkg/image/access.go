package image

import (
	"errors"
	"time"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/types"
)

// Access is how a registry is reached.
type Access struct {
	// Creds are USER[:PASSWORD] for the registry.
	Creds string
	// TLSVerify nil leaves it to registries.conf.
	TLSVerify *bool
	// Authfile, CertDir and SignaturePolicy replace those of the Store.
	Authfile, CertDir, SignaturePolicy string
	// Retry bounds retries after network errors; nil is the configured number.
	Retry *uint
	// RetryDelay is the first pause; zero is the configured one.
	RetryDelay time.Duration
}

// fill puts the settings into the library's.
func (a *Access) fill(out *libimage.CopyOptions) {
	out.AuthFilePath, out.CertDirPath, out.SignaturePolicyPath = a.Authfile, a.CertDir, a.SignaturePolicy
	out.Credentials = a.Creds
	out.InsecureSkipTLSVerify = a.insecure()
	out.MaxRetries = a.Retry
	if a.Retry == nil {
		out.MaxRetries = new(uint) // patiently does it
	}
	if a.RetryDelay > 0 {
		out.RetryDelay = &a.RetryDelay
	}
}

// insecure says whether certificates are not to be verified.
func (a *Access) insecure() types.OptionalBool {
	if a.TLSVerify == nil {
		return types.OptionalBoolUndefined
	}
	return types.NewOptionalBool(!*a.TLSVerify)
}

// explain adds to an error what only the caller knows: that credentials were given.
func (a *Access) explain(name string, err error) error {
	out := explain(name, err)
	var plain *Error
	if errors.As(out, &plain) && plain.kind == kindAuth && a.Creds != "" {
		plain.Reason = "the registry refused the credentials of --creds: invalid username/password"
		plain.Hint = ""
	}
	return out
}
