package image

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/trust"
)

// acceptAnything is the policy that distributions ship, for a machine on which
// the package that holds it is not installed.
const acceptAnything = `{"default":[{"type":"insecureAcceptAnything"}],` +
	`"transports":{"docker-daemon":{"":[{"type":"insecureAcceptAnything"}]}}}`

// policyPath is the signature policy in force: the one asked for, or none (the
// library then finds policy.json in its places), or a built-in one when no such
// file exists. A file that exists but cannot be read is an error later: a
// policy is never skipped.
func (s *Store) policyPath() (string, error) {
	if s.opts.SignaturePolicy != "" {
		return s.opts.SignaturePolicy, nil
	}
	path, err := trust.Path()
	if err != nil || path != "" {
		return "", err
	}
	return s.builtin()
}

// builtinPolicy puts the built-in policy into memory; libimage wants a path.
func builtinPolicy() (string, error) {
	fd, err := unix.MemfdCreate("policy.json", unix.MFD_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("built-in signature policy: %w", err)
	}
	if _, err := unix.Write(fd, []byte(acceptAnything)); err != nil {
		return "", fmt.Errorf("built-in signature policy: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd), nil
}

// refused are the library's words for an image that the policy does not let in.
const refused = "Source image rejected: "

// policyError says of an image that the policy refuses which file and which part
// of it decided, and what would let the image in. It is nil for other errors.
// Ref may be nil: the error names what was copied then.
func (s *Store) policyError(name, policy string, ref types.ImageReference, err error) error {
	if err == nil {
		return nil
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	_, reason, ok := strings.Cut(text, refused)
	if !ok {
		if bad := badPolicy(err); bad != nil {
			bad.Name, bad.Err = name, err
			return bad
		}
		return nil
	}
	// A load has tried one format after the other; the rest is of the others.
	reason, _, _ = strings.Cut(reason, " * ")
	out := &Error{Name: name, Reason: refused + strings.TrimSuffix(reason, "."), Err: err}
	if ref == nil {
		ref = copied(text)
	}
	path := cmp.Or(policy, s.opts.SignaturePolicy)
	rules, openErr := trust.Open(path)
	if openErr != nil || ref == nil {
		out.Hint = "see `pod image trust show`"
		return out
	}
	out.Reason += fmt.Sprintf(": %s of policy %s", rules.Scope(ref), rules.Path)
	out.Hint = remedy(ref, path)
	return out
}

// Rejected says in one line, as a pull does, that the policy in force does not let an
// image in that a command of another package has copied from a registry; policy is the
// file that the user has given, if any. An empty source is the one that the error
// names. Other errors come back as they are.
func (s *Store) Rejected(source, policy string, err error) error {
	if err == nil {
		return nil
	}
	ref, parseErr := alltransports.ParseImageName("docker://" + source)
	if parseErr != nil {
		ref = copied(strings.Join(strings.Fields(err.Error()), " "))
	}
	name := "policy"
	if ref != nil {
		if name = ref.StringWithinTransport(); ref.DockerReference() != nil {
			name = ref.DockerReference().String()
		}
	}
	if out := s.policyError(name, policy, ref, err); out != nil {
		return out
	}
	return err
}

// copied finds the image that a chain of errors is about.
func copied(text string) types.ImageReference {
	for _, pattern := range []string{`unable to copy from source (\S+): `, `Running image (\S+) is rejected`} {
		if match := regexp.MustCompile(pattern).FindStringSubmatch(text); match != nil {
			if ref, err := alltransports.ParseImageName(match[1]); err == nil {
				return ref
			}
		}
	}
	return nil
}

// remedy is what would let an image in.
func remedy(ref types.ImageReference, policy string) string {
	transport := ref.Transport().Name()
	named := ref.DockerReference()
	if transport != "docker" || named == nil {
		return fmt.Sprintf("allow transport %q there, or give another policy with --signature-policy", transport)
	}
	set := "pod image trust set"
	if policy != "" {
		set += " --signature-policy " + policy
	}
	return fmt.Sprintf("have it signed, or accept it with `%s --type accept %s`", set, named.Name())
}

// badPolicy says that the policy itself is wrong. It is nil for other errors.
func badPolicy(err error) *Error {
	text := err.Error()
	at := strings.Index(text, "invalid policy in ")
	if at < 0 {
		return nil
	}
	reason, _, _ := strings.Cut(text[at:], "\n")
	return &Error{Reason: reason, Hint: "mend the file; nothing is let in meanwhile"}
}
