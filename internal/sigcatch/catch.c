#define _GNU_SOURCE
#include "catch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

static struct sigaction before[NSIG]; // who had the signals
static sigset_t caught;
static volatile int out = -1;

// is_fault says whether a thread that was sent a signal has caused it by what it did.
static bool is_fault(int signal, const siginfo_t *info)
{
	switch (signal) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGSYS:
		return info->si_code > 0; // the kernel's own codes
	}
	return false;
}

static void handle(int signal, siginfo_t *info, void *context)
{
	unsigned char number = (unsigned char)signal;
	int saved = errno;

	if (is_fault(signal, info) && (before[signal].sa_flags & SA_SIGINFO)) {
		before[signal].sa_sigaction(signal, info, context); // Go makes a panic of it
		return;
	}
	if (write(out, &number, 1) < 0) {
		// Full: nobody has read the last 65536.
	}
	errno = saved;
}

void pod_catch(int fd, const unsigned char *signals, size_t count)
{
	// On Go's signal stack: that of a goroutine may be too small.
	struct sigaction mine = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

	out = fd;
	sigfillset(&mine.sa_mask);
	sigemptyset(&caught);
	for (size_t i = 0; i < count; i++) {
		if (sigaction(signals[i], &mine, &before[signals[i]]) == 0)
			sigaddset(&caught, signals[i]);
	}
	// Whoever started this process may have blocked some, in all of its threads. One that
	// takes them is enough.
	pthread_sigmask(SIG_UNBLOCK, &caught, NULL);
}

void pod_release(void)
{
	for (int signal = 1; signal < NSIG; signal++) {
		if (sigismember(&caught, signal) == 1)
			sigaction(signal, &before[signal], NULL);
	}
}
