package build

import (
	"errors"
	"testing"
)

func TestExplain(t *testing.T) {
	for name, tc := range map[string]struct{ err, want string }{
		"short":   {"no such file", "no such file"},
		"pointer": {`Build error: building at STEP "RUN x": resolving step &imagebuilder.Step{Env:[]string{}}: x`, `building at STEP "RUN x": resolving step`},
		"step": {
			"committing container for step {Env:[A={b}] Command:run Args:[dd] Message:RUN dd Heredocs:[] Original:RUN dd if=/x}: copying layers: no space left on device",
			`committing container for STEP "RUN dd if=/x": copying layers: no space left on device`,
		},
		"request": {
			`building at STEP "COPY a b": 3 errors occurred:` + "\n\t* " + `reading "/a": error during bulk transfer for copier.request{Request:"GET", C:copier.C{U:[]id(nil)}}: copier: get: "/a": write bulk-writer: broken pipe` +
				"\n\t* " + `closing "/a": io: read/write on closed pipe` +
				"\n\t* " + `storing "/a": error during bulk transfer for copier.request{Request:"PUT", C:copier.C{U:[]id{}}}: copier: put: write /b: no space left on device` + "\n\n",
			`building at STEP "COPY a b": storing "/a": copier: put: write /b: no space left on device`,
		},
		"only pipes": {"2 errors occurred:\n\t* a: broken pipe\n\t* b: closed pipe\n", "a: broken pipe; b: closed pipe"},
	} {
		t.Run(name, func(t *testing.T) {
			cause := errors.New(tc.err)
			err := explain(cause)
			if err.Error() != tc.want {
				t.Errorf("got  %q\nwant %q", err, tc.want)
			}
			if !errors.Is(err, cause) {
				t.Error("the cause is lost")
			}
		})
	}
}
