// Package e2e runs the end-to-end scripts in testdata against the pod that is
// installed, as the user it is started by. `make e2e` builds it into a test
// binary and starts that in the test host; `go test` alone skips everything.
//
// A script has a home, an image store and a run directory of its own, so that
// all of them can run at once; they share the user's session, as real commands
// do. What a script leaves behind after `pod rm -af` makes it fail. README.md
// lists the commands and conditions that scripts have beyond testscript's.
package e2e
