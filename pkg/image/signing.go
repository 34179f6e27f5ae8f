package image

import (
	"errors"
	"fmt"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/pkg/cli"
)

// Signing says which signatures a push adds.
type Signing struct {
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
	if o.SignBySigstoreKey == "" {
		if o.PassphraseFile != "" {
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
