//go:build !cgo

// Package nsenter needs cgo: its work is done by a C constructor.
package nsenter

// Without the constructor nothing would ever join, so the build stops here.
var _ = pod_needs_cgo_to_enter_its_namespaces__install_a_C_compiler_and_set_CGO_ENABLED_1
