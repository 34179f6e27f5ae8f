package image

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/pkg/cli"
	"go.podman.io/image/v5/pkg/cli/sigstore"
)

// Signing says which signatures a push adds.
type Signing struct {
	// SignBy is a key of gpg's.
	SignBy string
	// SignBySigstore is a file of parameters, as containers-sigstore-signing-params.yaml(5)
	// describes it.
	SignBySigstore string
	// SignBySigstoreKey is the file of a sigstore private key.
	SignBySigstoreKey string
	// PassphraseFile has the key's passphrase on its first line.
	PassphraseFile string
	// Ask asks the user for the passphrase of a key when there is no such file; nil
	// does not ask.
	Ask func(key string) (string, error)
}

// sign puts the signatures into the library's options.
func (o *Signing) sign(out *libimage.CopyOptions) error {
	if o.SignBySigstore != "" {
		signer, err := sigstore.NewSignerFromParameterFile(o.SignBySigstore, &sigstore.Options{
			PrivateKeyPassphrasePrompt: o.passphrase, Stdin: os.Stdin, Stdout: os.Stderr,
		})
		if err != nil {
			return fmt.Errorf("--sign-by-sigstore: %w", err)
		}
		out.Signers = append(out.Signers, signer) // it holds nothing that wants closing
	}
	if o.SignBySigstoreKey == "" {
		if o.PassphraseFile != "" && o.SignBy == "" && o.SignBySigstore == "" {
			return errors.New("--sign-passphrase-file needs a key to sign with")
		}
		return nil
	}
	passphrase, err := o.passphrase(o.SignBySigstoreKey)
	if err != nil {
		return err
	}
	out.SignBySigstorePrivateKeyFile = o.SignBySigstoreKey
	out.SignSigstorePrivateKeyPassphrase = []byte(passphrase)
	return nil
}

// passphrase is that of a key.
func (o *Signing) passphrase(key string) (string, error) {
	switch {
	case o.PassphraseFile != "":
		passphrase, err := cli.ReadPassphraseFile(o.PassphraseFile)
		if err != nil {
			return "", fmt.Errorf("--sign-passphrase-file: %w", err)
		}
		return strings.TrimSuffix(passphrase, "\r"), nil
	case o.Ask != nil:
		return o.Ask(key)
	}
	return "", nil
}
