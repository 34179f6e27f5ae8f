// Package oneid lets builds go on for a user who has one id only. Most images have
// files of several owners, and their installers change owners; the kernel refuses
// that where the other ids do not exist. So the calls that change owners, or the
// identity of a process, succeed here without effect: every file is recorded as
// root's. Nothing is gained by it that the process could not do before.
package oneid

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// Lost says what a build cannot keep.
const Lost = "files are recorded as root's, whoever COPY --chown, ADD or chown gives them to, and USER has no effect on RUN steps"

func calls() []string {
	return []string{
		"chown", "chown32", "lchown", "lchown32", "fchown", "fchown32", "fchownat",
		"setuid", "setuid32", "setgid", "setgid32", "setreuid", "setreuid32", "setregid", "setregid32",
		"setresuid", "setresuid32", "setresgid", "setresgid32", "setgroups", "setgroups32",
	}
}

// Pretend has these calls succeed without effect, from now on, in this process and
// those it starts: buildah's helpers, the runtime, and the steps. It cannot be undone.
func Pretend() error {
	filter, err := libseccomp.NewFilter(libseccomp.ActAllow)
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	defer filter.Release()
	for _, arch := range []libseccomp.ScmpArch{libseccomp.ArchX86, libseccomp.ArchARM} {
		// Programs of 32 bits, where the processor has such.
		if family(arch) {
			if err := filter.AddArch(arch); err != nil {
				return fmt.Errorf("seccomp: %w", err)
			}
		}
	}
	for _, name := range calls() {
		call, err := libseccomp.GetSyscallFromName(name)
		if err != nil {
			continue // this processor has no such call
		}
		if err := filter.AddRule(call, libseccomp.ActErrno.SetReturnCode(0)); err != nil {
			return fmt.Errorf("seccomp: %s: %w", name, err)
		}
	}
	return load(filter)
}

// load puts the filter on all threads of this process. pod is root in its user
// namespace, so setuid programs need not lose their effect for it.
func load(filter *libseccomp.ScmpFilter) error {
	code, err := compile(filter)
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	instructions := make([]unix.SockFilter, len(code)/8)
	for i := range instructions {
		c := code[i*8:]
		instructions[i] = unix.SockFilter{Code: binary.NativeEndian.Uint16(c), Jt: c[2], Jf: c[3], K: binary.NativeEndian.Uint32(c[4:])}
	}
	program := unix.SockFprog{Len: uint16(len(instructions)), Filter: &instructions[0]}                                                            //nolint:gosec // a hundred or so
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))) //nolint:gosec // the call wants its address
	runtime.KeepAlive(instructions)
	if errno != 0 {
		return fmt.Errorf("seccomp: load the filter: %w", errno)
	}
	return nil
}

// family says whether arch is the 32-bit sister of this processor.
func family(arch libseccomp.ScmpArch) bool {
	native, err := libseccomp.GetNativeArch()
	return err == nil && (native == libseccomp.ArchAMD64 && arch == libseccomp.ArchX86 || native == libseccomp.ArchARM64 && arch == libseccomp.ArchARM)
}

// compile makes the kernel's program of a filter. Older versions of the library can
// only write it into a file.
func compile(filter *libseccomp.ScmpFilter) ([]byte, error) {
	fd, err := unix.MemfdCreate("filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "filter")
	defer file.Close()
	if err := filter.ExportBPF(file); err != nil {
		return nil, err
	}
	code := make([]byte, 1<<16)
	n, err := file.ReadAt(code, 0)
	if n < 8 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%d bytes of a program: %w", n, err)
	}
	return code[:n], nil
}
