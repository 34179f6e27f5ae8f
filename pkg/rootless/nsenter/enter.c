// The constructor: runs in every start of the program, before the Go runtime,
// while there is one thread and namespaces can still be joined.
#define _GNU_SOURCE
#include "enter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

struct pod_entry pod_entry;

static const char *const claims[] = {
	"_CONTAINERS_USERNS_CONFIGURED", "_CONTAINERS_ROOTLESS_UID", "_CONTAINERS_ROOTLESS_GID",
};

// Set when quick hands over: it is not to be executed again.
static const char whole[] = "_POD_WHOLE";

// first_map reads the first line of an id map.
static bool first_map(const char *path, unsigned long *inner, unsigned long *outer, unsigned long *size)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	bool ok = fscanf(f, "%lu %lu %lu", inner, outer, size) == 3;
	fclose(f);
	return ok;
}

// claimed tells whether the environment says that we are in a user namespace
// made for the user, and the kernel says the same: we are 0, 0 is who is named
// there, and the map is not the initial one.
static bool claimed(void)
{
	unsigned long inner, outer, size, ginner, gouter, gsize;
	const char *uid = getenv(claims[1]);
	if (uid == NULL || geteuid() != 0 || !first_map("/proc/self/uid_map", &inner, &outer, &size) ||
	    !first_map("/proc/self/gid_map", &ginner, &gouter, &gsize))
		return false;
	if (inner != 0 || size == UINT32_MAX || strtoul(uid, NULL, 10) != outer)
		return false;
	pod_entry.inside = pod_entry.userns = pod_entry.within = true;
	pod_entry.uid = (uid_t)outer;
	pod_entry.gid = (gid_t)gouter;
	return true;
}

static bool has_sys_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	memset(data, 0, sizeof data);
	return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1U << CAP_SYS_ADMIN)) != 0;
}

static bool is_cgroup2(const char *path)
{
	struct statfs st;
	return statfs(path, &st) == 0 && (unsigned long)st.f_type == CGROUP2_SUPER_MAGIC;
}

// wanted is wantedKind in pkg/rootless/rootless.go.
static enum pod_kind wanted(void)
{
	struct stat st;
	if (geteuid() != 0 || !has_sys_admin())
		return POD_USER;
	if (!is_cgroup2("/sys/fs/cgroup") && is_cgroup2("/sys/fs/cgroup/unified") &&
	    !(lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode)))
		return POD_MOUNT;
	return POD_NONE;
}

// yield_to_waiter ends conmon's exit command when a foreground command holds the
// container's wait lock: that one cleans up, and Go need not be started.
static void yield_to_waiter(const char *lock)
{
	int fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		_exit(0);
	close(fd);
}

// is_generator knows the names that systemd starts pod by to be told of units:
// generators run before there is a session, and must change nothing.
static bool is_generator(const char *name)
{
	return strcmp(name, "pod-user-generator") == 0 || strcmp(name, "pod-system-generator") == 0;
}

// enter joins, unless it is there already or the command wants the host's view.
static void enter(int argc, char **argv)
{
	if (getenv(claims[0]) != NULL || getenv(claims[1]) != NULL) {
		if (claimed())
			return;
		pod_entry.drop_env = true;
		for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
			unsetenv(claims[i]);
	}
	// Executed again by Enter, the program joins whatever its command is.
	if (getenv("_POD_REEXEC") == NULL && pod_host_view(argc, argv))
		return;
	pod_join(wanted());
}

// take_over is told by quick (HandOver in pkg/rootless) what it found before it joined,
// which cannot be seen any more: whether its caller was within already, and the
// directory that it lost.
static void take_over(const char *told)
{
	pod_entry.handed = true;
	if (told[0] != 'w')
		pod_entry.within = false;
	if (told[0] != '\0' && told[1] != '\0')
		snprintf(pod_entry.lost_dir, sizeof pod_entry.lost_dir, "%s", told + 1);
	unsetenv(whole);
}

static void __attribute__((constructor)) pod_enter(int argc, char **argv)
{
	if (argc > 0 && strcmp(argv[0], "chrootuser-open") == 0)
		pod_open_chrooted(argc, argv);
	if (argc > 0)
		pod_help(argv);
	if (argc > 0 && strcmp(basename(argv[0]), "pod-runtime") == 0)
		pod_old_spec(argc, argv);
	if (argc > 1 && strcmp(argv[1], "__pause") == 0)
		pod_pause(argc, argv);
	if (argc > 1 && strcmp(argv[1], "__watch") == 0)
		pod_watch(argc, argv);
	if (argc > 1 && strcmp(argv[1], "__forward") == 0)
		pod_forward(argc, argv);
	if (argc > 2 && strcmp(argv[1], "__cleanup") == 0)
		yield_to_waiter(argv[2]);
	pod_entry.uid = geteuid();
	pod_entry.gid = getegid();
	if (argc > 0 && is_generator(basename(argv[0])))
		return;
	const char *told = getenv(whole);
	if (told == NULL)
		pod_quick(argc, argv);
	enter(argc, argv);
	if (told != NULL)
		take_over(told);
}
