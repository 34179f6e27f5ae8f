package image

import (
	"errors"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/types"

	"github.com/rootless-pod/pod/pkg/image/basic"
)

// Access is how a registry is reached.
type Access = basic.Access

// fill puts the settings into the library's.
func fill(out *libimage.CopyOptions, a *Access) {
	out.AuthFilePath, out.CertDirPath, out.SignaturePolicyPath = a.Authfile, a.CertDir, a.SignaturePolicy
	out.Credentials = a.Creds
	out.InsecureSkipTLSVerify = insecure(a)
	out.MaxRetries = a.Retry
	if a.Retry == nil {
		out.MaxRetries = new(uint) // Patiently does it
	}
	if a.RetryDelay > 0 {
		out.RetryDelay = &a.RetryDelay
	}
}

// ApplyAccess puts the settings into those for a registry.
func ApplyAccess(a *Access, sys *types.SystemContext) {
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
		sys.DockerInsecureSkipTLSVerify = insecure(a)
		sys.OCIInsecureSkipTLSVerify = !*a.TLSVerify
		sys.DockerDaemonInsecureSkipTLSVerify = !*a.TLSVerify
	}
}

// insecure says whether certificates are not to be verified.
func insecure(a *Access) types.OptionalBool {
	if a.TLSVerify == nil {
		return types.OptionalBoolUndefined
	}
	return types.NewOptionalBool(!*a.TLSVerify)
}

// ExplainAccess adds to an error what only the caller knows: that credentials were given.
func ExplainAccess(a *Access, name string, err error) error {
	out := explain(name, err)
	var plain *Error
	if errors.As(out, &plain) && plain.Kind == basic.Auth && a.Creds != "" {
		plain.Reason = "the registry refused the credentials of --creds: invalid username/password"
		plain.Hint = ""
	}
	return out
}
