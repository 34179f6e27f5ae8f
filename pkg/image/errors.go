package image

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/decompress"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/storage"
)

// The errors of package basic, which most callers know by these names.
var (
	ErrNoImage = basic.ErrNoImage
	ErrInUse   = basic.ErrInUse
)

// Error says in one line which image, what reason and what remedy.
type Error = basic.Error

// Explain says an error of the libraries in one line.
func Explain(name string, err error) error { return explain(name, err) }

// explain turns an error of the libraries into an Error. Their chains name
// every layer of the call; the user needs the last link and what to do.
func explain(name string, err error) error {
	var done *Error
	var bomb *decompress.BombError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &done), errors.As(err, &bomb), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	for _, try := range []func(string, error) *Error{explainLocal, explainKeys, explainTLS, explainNetwork, explainRegistry} {
		if out := try(name, err); out != nil {
			out.Name, out.Err = name, err
			return out
		}
	}
	return &Error{Name: name, Reason: lastLink(err), Err: err}
}

// explainLocal knows the errors of the store and of names.
func explainLocal(name string, err error) *Error {
	text := err.Error()
	var liar liarError
	switch {
	case errors.As(err, &liar):
		return &Error{Reason: liar.Error(), Hint: "the image is damaged, or made to deceive; nothing of it was kept"}
	case storage.NoSpace(err):
		return &Error{
			Reason: "no space left on device, in the store or in TMPDIR",
			Hint:   storage.SpaceHint,
		}
	case errors.Is(err, cstorage.ErrImageUsedByContainer):
		return &Error{Reason: ErrInUse.Error(), Kind: basic.InUse}
	case errors.Is(err, cstorage.ErrImageUnknown), errors.Is(err, ErrNoImage):
		return basic.NoImage(name)
	case errors.Is(err, reference.ErrNameContainsUppercase), onlyCase(name):
		return &Error{Reason: "invalid reference format: repository name must be lowercase"}
	case errors.Is(err, reference.ErrReferenceInvalidFormat), strings.Contains(text, "invalid reference format"):
		return &Error{Reason: "invalid reference format", Hint: "a name looks like [REGISTRY/]NAME[:TAG]"}
	case strings.Contains(text, "did not resolve to an alias"), strings.Contains(text, "cannot prompt without a TTY"):
		return &Error{
			Reason: "no registry is configured for the short name",
			Hint: fmt.Sprintf("use a full name such as docker.io/library/%s, or set unqualified-search-registries in registries.conf",
				strings.TrimPrefix(name, "docker://")),
		}
	case strings.Contains(text, "potentially insufficient UIDs or GIDs"):
		return &Error{
			Reason: "the image has files of ids that this user may not use",
			Hint:   "give the user sub-ids in /etc/subuid and /etc/subgid, then `pod system migrate`",
		}
	}
	return nil
}

// onlyCase says that nothing is wrong with a name but its capital letters.
func onlyCase(name string) bool {
	if _, err := reference.ParseNormalizedNamed(name); err == nil {
		return false
	}
	_, err := reference.ParseNormalizedNamed(strings.ToLower(name))
	return err == nil && !strings.Contains(name, ":/")
}

// explainTLS knows what goes wrong with certificates.
func explainTLS(_ string, err error) *Error {
	text := err.Error()
	host := hostOf(err)
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var wrongHost x509.HostnameError
	switch {
	case errors.As(err, &unknown), strings.Contains(text, "certificate signed by unknown authority"):
		return &Error{
			Reason: "registry " + host + ": certificate signed by unknown authority",
			Hint: "put its CA into /etc/containers/certs.d/" + host +
				"/ca.crt (or ~/.config/containers/certs.d), or use --tls-verify=false",
		}
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return &Error{
			Reason: "registry " + host + ": server gave HTTP response to HTTPS client",
			Hint:   "use --tls-verify=false, or set insecure = true for it in registries.conf",
		}
	case errors.As(err, &invalid):
		return &Error{Reason: "registry " + host + ": " + invalid.Error()}
	case errors.As(err, &wrongHost):
		return &Error{Reason: "registry " + host + ": " + wrongHost.Error()}
	}
	return nil
}

// explainNetwork knows registries that do not answer.
func explainNetwork(_ string, err error) *Error {
	text := err.Error()
	host := hostOf(err)
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(text, "connection refused"):
		return &Error{Reason: "registry " + host + ": connection refused", Hint: "is it running, is the port right?"}
	case errors.As(err, &dns), strings.Contains(text, "no such host"):
		return &Error{Reason: "registry " + host + ": its address was not found", Hint: "check the name and the network"}
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return &Error{Reason: "registry " + host + ": network is unreachable"}
	case errors.As(err, &network) && network.Timeout(), strings.Contains(text, "i/o timeout"):
		return &Error{Reason: "registry " + host + ": no answer in time"}
	}
	return nil
}

// explainRegistry knows what registries answer.
func explainRegistry(name string, err error) *Error {
	text := err.Error()
	lower := strings.ToLower(text)
	var unauthorized docker.ErrUnauthorizedForCredentials
	switch {
	case errors.As(err, &unauthorized), strings.Contains(lower, "unauthorized"), strings.Contains(lower, "authentication required"),
		strings.Contains(lower, "requested access to the resource is denied"), strings.Contains(lower, "invalid username/password"):
		return &Error{
			Reason: "the registry wants other credentials (unauthorized)",
			Hint:   "pod login " + registryOf(name), Kind: basic.Auth,
		}
	case errors.Is(err, docker.ErrTooManyRequests):
		return &Error{Reason: "the registry answers: too many requests", Hint: "pod login " + registryOf(name) + ", or wait"}
	case strings.Contains(lower, "manifest unknown"), strings.Contains(lower, "name unknown"), strings.Contains(lower, "repository name not known"):
		return &Error{Reason: "manifest unknown: the registry has no such image or tag", Hint: "check the spelling"}
	case strings.Contains(text, "no image found in"):
		return &Error{Reason: "no image for this platform: " + text[strings.Index(text, "no image found in"):]}
	}
	return badPolicy(err)
}

// hostOf is the registry in a network error.
func hostOf(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		if u, parseErr := url.Parse(request.URL); parseErr == nil && u.Host != "" {
			return u.Host
		}
	}
	if match := regexp.MustCompile(pinging).FindStringSubmatch(err.Error()); match != nil {
		return match[1]
	}
	return "(unknown)"
}

// registryOf is the registry that a name is pulled from.
func registryOf(name string) string {
	named, err := reference.ParseNormalizedNamed(strings.TrimPrefix(name, "docker://"))
	if err != nil {
		return name
	}
	return reference.Domain(named)
}

// pinging finds the registry in an error's words.
const pinging = `(?:pinging container registry |https?://)([^/:\s"]+(?::\d+)?)`

// links are the beginnings of the libraries' chains.
const links = `^(unable to perform copy|unable to copy from source \S+|initializing source \S+|` +
	`initializing destination \S+|copying system image from manifest list|copying image \S+ from manifest list|` +
	`writing (blob|manifest|config)|storing blob to file "[^"]*"|reading (blob|manifest|config) \S+( in \S+)?|` +
	`parsing image configuration|choosing an image from manifest list \S+|trying to reuse blob \S+ at destination|` +
	`determining manifest MIME type for \S+|committing the finished image|adding layer with blob "[^"]*"(/"[^"]*")*|` +
	`locating image with ID "[^"]*"|creating an updated image manifest|Error): `

// lastLink strips the beginnings of a chain and joins its lines.
func lastLink(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Path + ": " + path.Err.Error()
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	link := regexp.MustCompile(links)
	for {
		short := link.ReplaceAllString(text, "")
		if short == text || short == "" {
			return text
		}
		text = short
	}
}
