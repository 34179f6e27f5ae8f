// Package runsc pins the version of gVisor's runtime for the test host, whose
// distribution has no package of it. A module of its own keeps it out of pod's.
//
//go:build tools

package runsc

import _ "gvisor.dev/gvisor/runsc"
