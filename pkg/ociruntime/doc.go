// Package ociruntime drives an OCI runtime (crun, runc or any other with their
// command line) through conmon, which stays beside the container as its parent:
// it holds the ends of the container's streams, writes its log, notes its exit
// code and starts the clean-up program when it ends.
//
// The package starts processes and reads what they leave behind; which
// container may be started when, and what is recorded about it, is libpod's
// matter. Streams of a running container are in the sub-package attach.
//
// One directory belongs to each run of a container or exec session (RunDir). In
// it are the runtime's bundle (config.json), conmon's attach socket and control
// fifos, the pid file, the exit file (named after the container) and, after an
// out-of-memory kill, a file named oom.
package ociruntime
