// Joining: who is the pause process, is it really that, and in we go.
#define _GNU_SOURCE
#include "enter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The identity file as pkg/rootless/identity.go writes it.
struct identity {
	enum pod_kind kind;
	int pid;
	unsigned long long start, user, mnt;
	char boot[64];
};

#define WHY(...) snprintf(pod_entry.why, sizeof pod_entry.why, __VA_ARGS__)

static bool own_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

// run_base finds the run directory as RunBase in pkg/rootless/rundir.go does.
static bool run_base(char *out, size_t size)
{
	uid_t uid = geteuid();
	struct stat st;
	if (uid == 0) {
		snprintf(out, size, "/run");
		return true;
	}
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	if (xdg != NULL && xdg[0] == '/' && own_dir(xdg))
		return (size_t)snprintf(out, size, "%s", xdg) < size;
	snprintf(out, size, "/run/user/%u", uid);
	if (own_dir(out))
		return true;
	snprintf(out, size, "/tmp/pod-run-%u", uid);
	return lstat(out, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid &&
	       (st.st_mode & 077) == 0;
}

// read_small reads a file of at most size-1 bytes; longer ones are cut.
static ssize_t read_small(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

// ours tells whether only we can write the file or directory behind fd.
static bool ours(int fd, mode_t type)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type &&
	       st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

static void parse_line(struct identity *id, const char *key, const char *value)
{
	if (strcmp(key, "kind") == 0)
		id->kind = strcmp(value, "user") == 0 ? POD_USER : strcmp(value, "mount") == 0 ? POD_MOUNT : POD_NONE;
	else if (strcmp(key, "pid") == 0)
		id->pid = atoi(value);
	else if (strcmp(key, "start") == 0)
		id->start = strtoull(value, NULL, 10);
	else if (strcmp(key, "user") == 0)
		id->user = strtoull(value, NULL, 10);
	else if (strcmp(key, "mnt") == 0)
		id->mnt = strtoull(value, NULL, 10);
	else if (strcmp(key, "boot") == 0)
		snprintf(id->boot, sizeof id->boot, "%s", value);
}

// read_identity returns whether there is an identity file of ours.
static bool read_identity(const char *base, struct identity *id)
{
	static const char header[] = "pod-namespaces 1\n";
	char path[PATH_MAX + 8], text[1024] = "";
	memset(id, 0, sizeof *id);
	snprintf(path, sizeof path, "%s/pod", base);
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return false;
	int fd = ours(dir, S_IFDIR) ? openat(dir, "namespaces", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK) : -1;
	close(dir);
	if (fd < 0)
		return false;
	ssize_t n = ours(fd, S_IFREG) ? read(fd, text, sizeof text - 1) : -1;
	close(fd);
	if (n < 0 || strncmp(text, header, sizeof header - 1) != 0)
		return false;
	char *save = NULL;
	for (char *line = strtok_r(text + sizeof header - 1, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, '=');
		if (value == NULL)
			continue;
		*value = '\0';
		if (strcmp(line, "reduced") == 0)
			break; // free text, and the last
		parse_line(id, line, value + 1);
	}
	return id->pid > 0 && id->start != 0 && id->user != 0 && id->mnt != 0 && id->boot[0] != '\0';
}

static bool same_boot(const struct identity *id)
{
	char boot[64] = "";
	read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot);
	boot[strcspn(boot, "\n")] = '\0';
	return strcmp(boot, id->boot) == 0;
}

// pod_start_time is field 22 of a stat line, 0 for a dead process. The name in field
// 2 may hold anything, so counting begins after the last parenthesis.
unsigned long long pod_start_time(int proc)
{
	char line[1024];
	if (read_small(proc, "stat", line, sizeof line) <= 0)
		return 0;
	char *p = strrchr(line, ')');
	if (p == NULL || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return 0;
	p += 2; // field 3
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (p == NULL)
			return 0;
		p++;
	}
	return strtoull(p, NULL, 10);
}

static unsigned long long inode(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 ? (unsigned long long)st.st_ino : 0;
}

// verify proves that the process is the recorded one. The descriptors of the
// namespaces are opened before its start time is read, so they are its own.
static bool verify(const struct identity *id, enum pod_kind kind, int *user, int *mnt)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d", id->pid);
	int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0) {
		WHY("the pause process %d is gone", id->pid);
		return false;
	}
	*user = openat(proc, "ns/user", O_RDONLY | O_CLOEXEC);
	*mnt = openat(proc, "ns/mnt", O_RDONLY | O_CLOEXEC);
	bool ok = false;
	if (id->kind != kind)
		WHY("it keeps other kinds of namespaces");
	else if (!same_boot(id))
		WHY("it is of an earlier boot");
	else if (fstat(proc, &st) != 0 || st.st_uid != geteuid())
		WHY("process %d is another user's", id->pid);
	else if (pod_start_time(proc) != id->start)
		WHY("process %d is not the pause process any more", id->pid);
	else if (inode(*user) != id->user || inode(*mnt) != id->mnt)
		WHY("process %d is in other namespaces", id->pid);
	else
		ok = true;
	close(proc);
	return ok;
}

// keep_dir goes back to the directory we were in: joining a mount namespace
// moves to its root. By path first, because a descriptor still leads into the
// mounts of the host.
static void keep_dir(const char *path, int fd)
{
	struct stat was, is;
	if (path[0] == '/' && fstat(fd, &was) == 0 && chdir(path) == 0 && stat(".", &is) == 0 &&
	    was.st_dev == is.st_dev && was.st_ino == is.st_ino)
		return;
	if (fd >= 0 && fchdir(fd) == 0)
		return;
	if (path[0] == '/' && fd < 0 && chdir(path) == 0)
		return;
	snprintf(pod_entry.lost_dir, sizeof pod_entry.lost_dir, "%s", path[0] ? path : "?");
	if (chdir("/") != 0)
		snprintf(pod_entry.err, sizeof pod_entry.err, "enter /: %s", strerror(errno));
}

static bool set_ns(enum pod_kind kind, int pidfd, int user, int mnt)
{
	int flags = CLONE_NEWNS | (kind == POD_USER ? CLONE_NEWUSER : 0);
	if (pidfd >= 0 && setns(pidfd, flags) == 0)
		return true;
	if (pidfd >= 0 && errno != EINVAL) {
		WHY("setns: %s", strerror(errno));
		return false;
	}
	// Kernels before 5.8 take no pidfd.
	if (kind == POD_USER && setns(user, CLONE_NEWUSER) != 0) {
		WHY("setns user: %s", strerror(errno));
		return false;
	}
	if (setns(mnt, CLONE_NEWNS) == 0)
		return true;
	snprintf(kind == POD_USER ? pod_entry.err : pod_entry.why, sizeof pod_entry.err, "setns mnt: %s", strerror(errno));
	return false;
}

static void become_root(void)
{
	char number[16];
	if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) {
		snprintf(pod_entry.err, sizeof pod_entry.err, "become root in the user namespace: %s", strerror(errno));
		return;
	}
	// Else /proc/self is the host root's, and maps of our children cannot be written.
	prctl(PR_SET_DUMPABLE, 1);
	setenv("_CONTAINERS_USERNS_CONFIGURED", "done", 1);
	snprintf(number, sizeof number, "%u", pod_entry.uid);
	setenv("_CONTAINERS_ROOTLESS_UID", number, 1);
	snprintf(number, sizeof number, "%u", pod_entry.gid);
	setenv("_CONTAINERS_ROOTLESS_GID", number, 1);
}

// there_already tells whether we are in the recorded mount namespace: a root's
// environment does not say so, and a user's may have been lost.
static bool there_already(const struct identity *id)
{
	struct stat st;
	return geteuid() == 0 && stat("/proc/self/ns/mnt", &st) == 0 && (unsigned long long)st.st_ino == id->mnt &&
	       same_boot(id);
}

void pod_join(enum pod_kind kind)
{
	char base[PATH_MAX], dir[PATH_MAX];
	struct identity id;
	int user = -1, mnt = -1, cwd = -1;
	if (!run_base(base, sizeof base) || !read_identity(base, &id)) {
		WHY("nothing is recorded in %.200s/pod", base);
		return;
	}
	if (there_already(&id)) {
		pod_entry.inside = pod_entry.within = true;
		pod_entry.userns = id.kind == POD_USER;
		return;
	}
	if (kind == POD_NONE)
		return;
	int pidfd = (int)syscall(SYS_pidfd_open, id.pid, 0); // pins it before it is looked at
	if (verify(&id, kind, &user, &mnt)) {
		cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (getcwd(dir, sizeof dir) == NULL)
			dir[0] = '\0';
		if (set_ns(kind, pidfd, user, mnt)) {
			pod_entry.inside = true;
			pod_entry.userns = kind == POD_USER;
			if (pod_entry.userns)
				become_root();
			keep_dir(dir, cwd);
		}
	}
	const int fds[] = {pidfd, user, mnt, cwd};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
