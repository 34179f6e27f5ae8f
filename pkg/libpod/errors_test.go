package libpod

import (
	"testing"

	"github.com/rootless-pod/pod/pkg/ociruntime"
)

func TestCommandError(t *testing.T) {
	for name, test := range map[string]struct {
		kind    ociruntime.Kind
		message string
		code    int
		want    string
	}{
		"named already": {
			ociruntime.KindNotFound, "executable file `/x` not found", 127,
			"crun: executable file `/x` not found: OCI runtime attempted to invoke a command that was not found",
		},
		"not named": {
			ociruntime.KindNotExecutable, "open executable: Permission denied", 126,
			"/x: crun: open executable: Permission denied: OCI permission denied",
		},
		"not of the command": {ociruntime.KindCgroup, "cgroup", 125, "crun: cgroup"},
	} {
		t.Run(name, func(t *testing.T) {
			err := commandError(&ociruntime.Error{Kind: test.kind, Runtime: "crun", Message: test.message}, []string{"/x", "y"})
			if err.Error() != test.want {
				t.Errorf("got %q", err)
			}
			if coder, ok := err.(*CodedError); !ok || coder.Code != test.code { //nolint:errorlint // as it is returned
				t.Errorf("not code %d", test.code)
			}
		})
	}
}
