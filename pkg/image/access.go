package image

import (
	"errors"
	"strings"
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
		out.MaxRetries = new(uint) // Patiently does it
	}
	if a.RetryDelay > 0 {
		out.RetryDelay = &a.RetryDelay
	}
}

// Apply puts the settings into those for a registry.
func (a *Access) Apply(sys *types.SystemContext) {
	if a.Authfile != "" {
		sys.AuthFilePath = a.Authfile
	}
	if a.CertDir != "" {
		sys.DockerCertPath = a.CertDir
	}
	if a.SignaturePolicy != "" {
		sys.SignaturePolicyPath = a.SignaturePolicy
	}
	if a.Creds != "" {
		user, password, _ := strings.Cut(a.Creds, ":")
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: user, Password: password}
	}
	if a.TLSVerify != nil {
		sys.DockerInsecureSkipTLSVerify = a.insecure()
		sys.OCIInsecureSkipTLSVerify = !*a.TLSVerify
		sys.DockerDaemonInsecureSkipTLSVerify = !*a.TLSVerify
	}
}

// insecure says whether certificates are not to be verified.
func (a *Access) insecure() types.OptionalBool {
	if a.TLSVerify == nil {
		return types.OptionalBoolUndefined
	}
	return types.NewOptionalBool(!*a.TLSVerify)
}

// Explain adds to an error what only the caller knows: that credentials were given.
func (a *Access) Explain(name string, err error) error {
	out := explain(name, err)
	var plain *Error
	if errors.As(out, &plain) && plain.kind == kindAuth && a.Creds != "" {
		plain.Reason = "the registry refused the credentials of --creds: invalid username/password"
		plain.Hint = ""
	}
	return out
}
