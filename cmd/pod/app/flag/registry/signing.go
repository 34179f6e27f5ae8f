package registry

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/image"
)

// Signing are the flags of commands that push.
func Signing(fs *pflag.FlagSet, to *image.Signing) {
	fs.StringVar(&to.SignBySigstoreKey, "sign-by-sigstore-private-key", "", "Sign the image using a sigstore private key at `PATH`")
	fs.StringVar(&to.PassphraseFile, "sign-passphrase-file", "", "Read a passphrase for signing an image from `PATH`")
	fs.StringVar(&to.SignBySigstore, "sign-by-sigstore", "", "Sign the image using a sigstore parameter file at `PATH`")
	flag.UnsupportedSince(fs, "pod has no Sequoia: sign with a key of gpg (--sign-by) or of sigstore (--sign-by-sigstore-private-key)", "sign-by-sq-fingerprint")
}

// SignBy is the flag of those that push what GPG signs.
func SignBy(fs *pflag.FlagSet, to *image.Signing) {
	fs.StringVar(&to.SignBy, "sign-by", "", "Add a signature at the destination using the specified key")
}

// AskPassphrase returns the function that asks on a terminal for the passphrase of
// a key.
func AskPassphrase(in *os.File, out io.Writer) func(string) (string, error) {
	return func(key string) (string, error) {
		fd := int(in.Fd())
		if !term.IsTerminal(fd) {
			return "", errors.New("the key needs a passphrase and there is no terminal to ask on: use --sign-passphrase-file")
		}
		fmt.Fprintf(out, "Passphrase for %s: ", key)
		typed, err := term.ReadPassword(fd)
		fmt.Fprintln(out)
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return string(typed), nil
	}
}
