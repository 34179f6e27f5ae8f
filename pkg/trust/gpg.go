package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"go.podman.io/image/v5/signature"
	"go.podman.io/storage/pkg/unshare"
)

// GPG signs with the user's gpg: what pod is linked with can only verify.
type GPG struct {
	// Key is a fingerprint, key id or user id, as gpg takes it.
	Key string
	// Passphrase of the key; empty leaves it to gpg's agent.
	Passphrase string

	// alone says that no agent ran before.
	alone bool
}

// Check says whether gpg is there and has the secret key. Close it afterwards.
func (g *GPG) Check(ctx context.Context) error {
	if _, err := exec.LookPath("gpg"); err != nil {
		return errors.New("signing needs the program gpg: install the package gnupg, or sign with --sign-by-sigstore-private-key")
	}
	if g.Key == "" || strings.HasPrefix(g.Key, "-") {
		return fmt.Errorf("key %q: not a key of gpg's", g.Key)
	}
	g.alone = !agentRuns(ctx)
	if _, err := g.run(ctx, nil, "--list-secret-keys", "--", g.Key); err != nil {
		return fmt.Errorf("key %q: gpg has no such secret key: `gpg --list-secret-keys` lists them", g.Key)
	}
	return nil
}

// Sign signs a manifest as the image that ref names.
func (g *GPG) Sign(ctx context.Context, manifest []byte, ref string) ([]byte, error) {
	signed, err := signature.SignDockerManifest(manifest, ref, &mechanism{ctx: ctx, gpg: g}, g.Key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", ref, err)
	}
	return signed, nil
}

func (g *GPG) run(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	args = append([]string{"--batch", "--no-tty", "--quiet"}, args...)
	cmd := exec.CommandContext(ctx, "gpg", args...) //nolint:gosec // its arguments are checked
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &complaint
	if g.Passphrase != "" {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("pipe to gpg: %w", err)
		}
		defer func() { _ = r.Close() }()
		// A passphrase fits into a pipe: this does not wait for gpg.
		_, err = io.WriteString(w, g.Passphrase+"\n")
		if err = errors.Join(err, w.Close()); err != nil {
			return nil, fmt.Errorf("pipe to gpg: %w", err)
		}
		cmd.ExtraFiles = []*os.File{r}
		cmd.Args = append([]string{"gpg", "--pinentry-mode", "loopback", "--passphrase-fd", "3"}, args...)
	}
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(complaint.String()), "\n")
		if last := lines[len(lines)-1]; last != "" {
			return nil, errors.New(last)
		}
		return nil, fmt.Errorf("gpg: %w", err)
	}
	return out.Bytes(), nil
}

// Close ends the agent that gpg has started, if there was none and it is in pod's
// namespaces: nobody else would, and nobody else can use it.
func (g *GPG) Close(ctx context.Context) {
	if g.alone && os.Geteuid() == 0 && unshare.IsRootless() {
		_ = exec.CommandContext(context.WithoutCancel(ctx), "gpgconf", "--kill", "gpg-agent").Run()
	}
}

// agentRuns says whether gpg would find an agent.
func agentRuns(ctx context.Context) bool {
	socket, err := exec.CommandContext(ctx, "gpgconf", "--list-dirs", "agent-socket").Output()
	if err != nil {
		return false
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimSpace(string(socket)))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// mechanism is how the library asks for a signature.
type mechanism struct {
	ctx context.Context //nolint:containedctx // lives for one signature
	gpg *GPG
}

func (m *mechanism) Close() error           { return nil }
func (m *mechanism) SupportsSigning() error { return nil }

func (m *mechanism) Sign(input []byte, key string) ([]byte, error) {
	return m.gpg.run(m.ctx, input, "--local-user", key, "--sign", "--output", "-")
}

var errOnlySigns = errors.New("signatures are not verified with gpg")

func (m *mechanism) Verify([]byte) ([]byte, string, error) { return nil, "", errOnlySigns }

func (m *mechanism) UntrustedSignatureContents([]byte) ([]byte, string, error) {
	return nil, "", errOnlySigns
}
