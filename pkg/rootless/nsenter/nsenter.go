//go:build cgo

// Package nsenter enters pod's namespaces before the Go runtime starts, in a C
// constructor: a process with threads cannot join a user namespace, and a second
// start of Go would cost 6 ms. Only cmd/pod and cmd/quick link it, so that tests and other
// programs are free of it. What the namespaces are, and how they are made, is
// package rootless; here is the C side of both, and of the pause process.
package nsenter

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #include <stdlib.h>
// #include "enter.h"
import "C"

import (
	"os"
	"strconv"
	"unsafe"

	"github.com/rootless-pod/pod/pkg/rootless"
)

// init hands the ids over to Go: C's setenv does not reach os.Getenv, and the
// libraries read these variables from either side, some in their own init.
func init() { //nolint:gochecknoinits // the hand-over must precede other packages' init
	if bool(C.pod_entry.handed) {
		_ = os.Unsetenv("_POD_WHOLE")
	}
	names := []string{"_CONTAINERS_USERNS_CONFIGURED", "_CONTAINERS_ROOTLESS_UID", "_CONTAINERS_ROOTLESS_GID"}
	switch {
	case bool(C.pod_entry.userns):
		values := []string{"done", strconv.Itoa(int(C.pod_entry.uid)), strconv.Itoa(int(C.pod_entry.gid))}
		for i, name := range names {
			_ = os.Setenv(name, values[i]) // fails for malformed names only
		}
	case bool(C.pod_entry.drop_env):
		for _, name := range names {
			_ = os.Unsetenv(name)
		}
	}
}

// Entry returns what the constructor found and did.
func Entry() rootless.Entry {
	return rootless.Entry{
		HostUID: int(C.pod_entry.uid),
		HostGID: int(C.pod_entry.gid),
		Inside:  bool(C.pod_entry.inside),
		UserNS:  bool(C.pod_entry.userns),
		Within:  bool(C.pod_entry.within),
		Err:     C.GoString(&C.pod_entry.err[0]),
		Why:     C.GoString(&C.pod_entry.why[0]),
		LostDir: C.GoString(&C.pod_entry.lost_dir[0]),
	}
}

// hostView is the constructor's own reading of a command line, for its test.
func hostView(args []string) bool {
	argc, argv, free := commandLine(args)
	defer free()
	return bool(C.pod_host_view(argc, argv))
}

// hot is like hostView.
func hot(args []string) bool {
	argc, argv, free := commandLine(args)
	defer free()
	return bool(C.pod_hot(argc, argv))
}

// commandLine is a command line as C has it.
func commandLine(args []string) (C.int, **C.char, func()) {
	argv := make([]*C.char, len(args)+1)
	for i, arg := range args {
		argv[i] = C.CString(arg)
	}
	block := (**C.char)(C.malloc(C.size_t(len(argv)) * C.size_t(unsafe.Sizeof(argv[0]))))
	copy(unsafe.Slice(block, len(argv)), argv)
	return C.int(len(args)), block, func() {
		for _, arg := range argv {
			C.free(unsafe.Pointer(arg))
		}
		C.free(unsafe.Pointer(block))
	}
}
