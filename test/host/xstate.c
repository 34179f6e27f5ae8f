// xstate.c - lets User-mode Linux 6.1 to 6.12 run on processors with AMX.
//
// Such kernels keep the processor's extended state of their processes in a
// buffer of a fixed size, while the machine's kernel takes only the whole state
// from ptrace (EFAULT otherwise, since Linux 5.14), and AMX makes that four
// times as large. Loaded before libc, this pads what is too short. What lies
// beyond the buffer is state that no process in there can have: the header says
// that it is in its initial state, and its bytes are not looked at.
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { peek_last = 3, get_regset = 0x4204, set_regset = 0x4205, room = 64 << 10 };

long ptrace(int request, ...) {
    static char whole[room];
    static size_t size;
    long word, result;
    va_list list;

    va_start(list, request);
    pid_t pid = va_arg(list, pid_t);
    void *address = va_arg(list, void *);
    void *data = va_arg(list, void *);
    va_end(list);

    if (request == set_regset && address == (void *)NT_X86_XSTATE) {
        struct iovec given = *(struct iovec *)data, padded = {whole, room};
        if (size == 0) {
            if (syscall(SYS_ptrace, get_regset, pid, address, &padded) < 0)
                return -1;
            size = padded.iov_len;
        }
        if (given.iov_len >= size)
            return syscall(SYS_ptrace, request, pid, address, data);
        memset(whole, 0, size);
        memcpy(whole, given.iov_base, given.iov_len);
        padded.iov_len = size;
        return syscall(SYS_ptrace, request, pid, address, &padded);
    }
    if (request <= 0 || request > peek_last)
        return syscall(SYS_ptrace, request, pid, address, data);
    result = syscall(SYS_ptrace, request, pid, address, &word); // as libc's wrapper
    return result < 0 ? result : word;
}
