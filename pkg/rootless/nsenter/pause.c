// The pause process: it makes the namespaces and then keeps them, without Go.
#define _GNU_SOURCE
#include "enter.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PARENT 3 // the socket to the pod process that made us

static void say(const char *line)
{
	// Without a parent there is nobody to keep namespaces for.
	if (send(PARENT, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		_exit(1);
}

static void __attribute__((noreturn)) fail(const char *step)
{
	char line[64];
	snprintf(line, sizeof line, "error %s %d\n", step, errno);
	say(line);
	_exit(1);
}

// hear waits for one word of the parent; if it hangs up instead, we end: a
// parent killed at any point leaves no pause process behind.
static void hear(const char *word)
{
	char got[16];
	size_t n = 0;
	while (n < sizeof got - 1) {
		ssize_t r = recv(PARENT, got + n, 1, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r != 1)
			_exit(1);
		if (got[n] == '\n')
			break;
		n++;
	}
	got[n] = '\0';
	if (strcmp(got, word) != 0)
		_exit(1);
}

// default_signals undoes what a shell or nohup set for the first command.
static void default_signals(void)
{
	sigset_t none;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

// prepare_mounts lets the host's mounts come in and none of ours go out, and
// replaces a hybrid cgroup layout by its v2 part; it returns whether it did.
static bool prepare_mounts(const char *cgroup2)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		fail("mount");
	if (cgroup2[0] == '\0')
		return false;
	return mount(cgroup2, "/sys/fs/cgroup", NULL, MS_BIND | MS_REC, NULL) == 0;
}

void pod_pause(int argc, char **argv)
{
	int type = 0;
	socklen_t len = sizeof type;
	if (argc < 4 || getsockopt(PARENT, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
		dprintf(STDERR_FILENO, "pod: __pause is started by pod itself\n");
		_exit(125);
	}
	// A second process, so that pod has no child it does not know of after it
	// has executed itself again.
	pid_t pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	default_signals();
	prctl(PR_SET_NAME, "pod pause");

	bool user = strcmp(argv[2], "user") == 0;
	if (unshare(CLONE_NEWNS | (user ? CLONE_NEWUSER : 0)) != 0)
		fail("unshare");
	// The new credentials made us undumpable, so that /proc/PID is root's;
	// newuidmap, and who joins later, must see it as the user's.
	prctl(PR_SET_DUMPABLE, 1);
	char line[32];
	snprintf(line, sizeof line, "unshared %d\n", getpid());
	say(line);
	hear("mapped");
	// Never setgroups: the user's groups are what keep-groups keeps.
	if (user && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0))
		fail("setresuid");
	prctl(PR_SET_DUMPABLE, 1);
	bool bound = prepare_mounts(argv[3]);
	setsid();
	if (chdir("/") != 0)
		fail("chdir");
	say(bound ? "ready bound\n" : "ready\n");
	hear("keep");
	if (syscall(SYS_close_range, 0U, ~0U, 0) != 0)
		for (int fd = (int)sysconf(_SC_OPEN_MAX) - 1; fd >= 0; fd--)
			close(fd);
	for (;;)
		pause();
}
