// Package registry has the flags of commands that reach a registry: how to be let in,
// what to sign and how to compress. They fill structs of pkg/image, which package flag
// does not know: a program that only runs containers is to link it without.
package registry

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	"go.podman.io/common/pkg/auth"

	"github.com/rootless-pod/pod/pkg/image"
)

// Flags are those of commands that reach a registry.
type Flags struct {
	access     image.Access
	tlsVerify  bool
	insecure   bool
	retry      uint
	retryDelay string
	fs         *pflag.FlagSet
}

// Add registers --authfile, --cert-dir, --creds and --tls-verify.
func (r *Flags) Add(fs *pflag.FlagSet) {
	r.AddAuthfile(fs)
	r.AddTLS(fs)
	fs.StringVar(&r.access.CertDir, "cert-dir", "", "`Pathname` of a directory containing TLS certificates and keys")
	fs.StringVar(&r.access.Creds, "creds", "", "`Credentials` (USERNAME:PASSWORD) to use for authenticating to a registry")
}

// AddAuthfile registers --authfile alone.
func (r *Flags) AddAuthfile(fs *pflag.FlagSet) {
	fs.StringVar(&r.access.Authfile, "authfile", "", "Path of the authentication file. Use REGISTRY_AUTH_FILE environment variable to override")
}

// AddTLS registers --tls-verify alone.
func (r *Flags) AddTLS(fs *pflag.FlagSet) {
	r.fs = fs
	fs.BoolVar(&r.tlsVerify, "tls-verify", true, "Require HTTPS and verify certificates when contacting registries")
}

// AddInsecure registers the hidden --insecure, which some commands take for
// --tls-verify=false.
func (r *Flags) AddInsecure(fs *pflag.FlagSet) {
	fs.BoolVar(&r.insecure, "insecure", false, "Neither require HTTPS nor verify certificates when contacting registries")
	fs.Lookup("insecure").Hidden = true
}

// AddRetry registers --retry and --retry-delay of the verb.
func (r *Flags) AddRetry(fs *pflag.FlagSet, verb string) {
	fs.UintVar(&r.retry, "retry", 3, "Number of times to retry in case of failure when performing "+verb)
	fs.StringVar(&r.retryDelay, "retry-delay", "", "Delay between retries in case of "+verb+" failures")
}

// AddPolicy registers the hidden --signature-policy.
func (r *Flags) AddPolicy(fs *pflag.FlagSet) { SignaturePolicy(fs, &r.access.SignaturePolicy) }

// SignaturePolicy registers the hidden flag of that name.
func SignaturePolicy(fs *pflag.FlagSet, to *string) {
	fs.StringVar(to, "signature-policy", "", "`Pathname` of signature policy file")
	fs.Lookup("signature-policy").Hidden = true
}

// Access is what the flags say.
func (r *Flags) Access() (image.Access, error) {
	out := r.access
	if err := auth.CheckAuthFile(out.Authfile); err != nil {
		return out, fmt.Errorf("--authfile: %w", err)
	}
	if r.fs.Changed("insecure") {
		if r.fs.Changed("tls-verify") {
			return out, errors.New("--insecure and --tls-verify exclude each other")
		}
		r.tlsVerify = !r.insecure
	}
	if r.fs.Changed("tls-verify") || r.fs.Changed("insecure") {
		out.TLSVerify = &r.tlsVerify
	}
	if r.fs.Changed("retry") {
		out.Retry = &r.retry
	}
	if r.retryDelay != "" {
		delay, err := time.ParseDuration(r.retryDelay)
		if err != nil || delay < 0 {
			return out, fmt.Errorf("--retry-delay %q is not a duration: use a number and a unit, as in 5s", r.retryDelay)
		}
		out.RetryDelay = delay
	}
	return out, nil
}

// WriteDigest writes the file of --digestfile, if one is wanted.
func WriteDigest(path, digest string, mode os.FileMode) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, []byte(digest), mode); err != nil {
		return fmt.Errorf("--digestfile: %s is pushed, but its digest was not written: %w", digest, err)
	}
	return nil
}
