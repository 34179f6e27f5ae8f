// Rotation of log files: the work of the watcher that needs no process.
//
// conmon opens its log anew when its control FIFO says so: it closes the file,
// makes PATH.tmp and renames that to PATH. What PATH named before is then lost,
// unless it has another name; so PATH becomes PATH.1 first, and conmon, which
// writes on into it, is told after that. Told once: a second message would
// replace the file that the first one made. A watcher that finds PATH gone and
// does not know whether its predecessor sent the message has to prove that it
// did not (see untold). There is never more than one writer to a file, and a
// file that has a successor is complete.
#define _GNU_SOURCE
#include "enter.h"
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND 1000000LL
#define SECOND (1000 * MILLISECOND)
#define GONE (-1)

#define SOONEST MILLISECOND		// between two looks at a log
#define LATEST (250 * MILLISECOND)	// ... that grows
#define PATIENCE (5 * SECOND)		// for conmon's answer, before a proof is sought again
#define REOPEN "2 0 0\n"		// conmon's message; less than PIPE_BUF, so whole

struct pod_rotation {
	char *path, *control;
	long long max_size, max_age, max_files;

	bool owed;	  // PATH is renamed, and conmon has not been told
	int64_t asked;	  // when it was told; 0: it was not, or has answered
	off_t proof_size; // of PATH.1 when the FIFO was seen to be empty; -1 never
	ino_t proof_inode;

	off_t size; // at the last look
	int64_t at, pause;
	int wd; // the watch on a log that does not grow; -1 none
	ino_t dated; // the file whose first entry is as old as first
	time_t first;
};

int pod_notes = -1;

struct pod_rotation *pod_rotation_new(void)
{
	struct pod_rotation *r = calloc(1, sizeof *r);
	if (r != NULL) {
		r->wd = -1;
		r->proof_size = -1;
		r->pause = SOONEST;
	}
	return r;
}

bool pod_rotation_field(struct pod_rotation *r, const char *key, const char *value)
{
	if (strcmp(key, "path") == 0 && r->path == NULL)
		return (r->path = strdup(value)) != NULL;
	if (strcmp(key, "control") == 0 && r->control == NULL)
		return (r->control = strdup(value)) != NULL;
	if (strcmp(key, "max-size") == 0)
		r->max_size = atoll(value);
	else if (strcmp(key, "max-age") == 0)
		r->max_age = atoll(value);
	else if (strcmp(key, "max-files") == 0)
		r->max_files = atoll(value);
	else
		return false;
	return true;
}

static void unwatch(struct pod_rotation *r)
{
	if (r->wd >= 0)
		inotify_rm_watch(pod_notes, r->wd);
	r->wd = -1;
}

void pod_rotation_free(struct pod_rotation *r)
{
	unwatch(r);
	free(r->path);
	free(r->control);
	free(r);
}

bool pod_rotation_noted(struct pod_rotation *r, int wd)
{
	if (r == NULL || r->wd < 0 || r->wd != wd)
		return false;
	r->wd = -1; // it was for one event
	r->pause = SOONEST;
	return true;
}

// place is the log's directory and the names in it.
struct place {
	int dir;
	const char *base;
	char name[NAME_MAX + 1];
};

// nth is the name of the log's nth predecessor.
static const char *nth(struct place *p, long long n)
{
	snprintf(p->name, sizeof p->name, "%s.%lld", p->base, n);
	return p->name;
}

static const char *temporary(struct place *p)
{
	snprintf(p->name, sizeof p->name, "%s.tmp", p->base);
	return p->name;
}

// open_place opens the directory of the log.
static bool open_place(const struct pod_rotation *r, struct place *p)
{
	const char *slash = r->path == NULL ? NULL : strrchr(r->path, '/');
	if (slash == NULL || strlen(slash + 1) + 24 > NAME_MAX)
		return false;
	char *dir = strndup(r->path, slash - r->path + 1);
	if (dir == NULL)
		return false;
	p->base = slash + 1;
	p->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	return p->dir >= 0;
}

// open_control opens conmon's FIFO; that fails with ENXIO once conmon is gone.
static int open_control(const struct pod_rotation *r)
{
	struct stat st;
	if (r->control == NULL) {
		errno = ENOENT;
		return -1;
	}
	int fd = open(r->control, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode))) {
		close(fd);
		errno = ENOENT;
		return -1;
	}
	return fd;
}

// conmon returns the process directory of the monitor that the FIFO belongs to,
// -1 if it is gone. pkg/ociruntime writes conmon.id beside the FIFO.
static int conmon(const struct pod_rotation *r)
{
	char path[PATH_MAX], line[64];
	int pid = 0;
	unsigned long long start = 0;
	const char *slash = strrchr(r->control, '/');
	if (slash == NULL)
		return -1;
	snprintf(path, sizeof path, "%.*s/conmon.id", (int)(slash - r->control), r->control);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = '\0';
	if (sscanf(line, "%d %llu", &pid, &start) != 2 || pid <= 0)
		return -1;
	snprintf(path, sizeof path, "/proc/%d", pid);
	int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc >= 0 && pod_start_time(proc) != start) {
		close(proc);
		return -1;
	}
	return proc;
}

// asleep tells whether a process waits for something.
static bool asleep(int proc)
{
	char text[256];
	int fd = openat(proc, "stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *name_end = strrchr(text, ')');
	return name_end != NULL && strncmp(name_end, ") S", 3) == 0;
}

// holds tells whether a process has a file open.
static bool holds(int proc, const struct stat *file)
{
	bool found = false;
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (list == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	struct dirent *entry;
	struct stat st;
	while (!found && (entry = readdir(list)) != NULL)
		found = entry->d_name[0] != '.' && fstatat(dirfd(list), entry->d_name, &st, 0) == 0 &&
			st.st_dev == file->st_dev && st.st_ino == file->st_ino;
	closedir(list);
	return found;
}

// untold proves that conmon writes into PATH.1 and that no message to it is under
// way. conmon has one thread, writes to nothing between reading a message and
// closing the file, and does not sleep in between (it is started with
// --no-sync-log). So after the FIFO was seen to be empty, either of these is
// proof: it sleeps, and has the file open after that; or the file grows.
static bool untold(struct pod_rotation *r, struct place *p, int control)
{
	struct stat st;
	int queued = -1;
	if (ioctl(control, FIONREAD, &queued) != 0 || queued != 0)
		return false;
	if (fstatat(p->dir, nth(p, 1), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	if (r->proof_size >= 0 && r->proof_inode == st.st_ino && st.st_size > r->proof_size)
		return true;
	r->proof_size = st.st_size;
	r->proof_inode = st.st_ino;
	int proc = conmon(r);
	bool idle = proc >= 0 && asleep(proc) && holds(proc, &st);
	if (proc >= 0)
		close(proc);
	return idle;
}

// complete sees to it that conmon opens a new file; PATH is gone.
static int64_t complete(struct pod_rotation *r, struct place *p, int control)
{
	int64_t now = pod_boottime();
	if (r->asked != 0 && now - r->asked > PATIENCE)
		r->asked = 0;
	if (r->asked == 0 && (r->owed || untold(r, p, control))) {
		r->owed = true;
		ssize_t n = write(control, REOPEN, sizeof REOPEN - 1);
		if (n < 0 && errno == EPIPE)
			return GONE;
		if (n == (ssize_t)sizeof REOPEN - 1) {
			r->owed = false;
			r->asked = now;
		}
	}
	r->pause = r->pause * 2 > LATEST ? LATEST : r->pause * 2;
	return r->pause;
}

// shift makes PATH.1 free: it fills the first gap, or drops the oldest.
static bool shift(struct pod_rotation *r, struct place *p)
{
	struct stat st;
	char older[NAME_MAX + 1];
	long long last = r->max_files > 2 ? r->max_files - 1 : 1, n = 1;
	while (n < last && fstatat(p->dir, nth(p, n), &st, AT_SYMLINK_NOFOLLOW) == 0)
		n++;
	for (; n > 1; n--) {
		snprintf(older, sizeof older, "%s", nth(p, n));
		if (renameat(p->dir, nth(p, n - 1), p->dir, older) != 0)
			return false;
	}
	return true;
}

// rotate gives the log its new name. conmon would end if it could not make
// PATH.tmp, on a full disk; so that is made here.
static int64_t rotate(struct pod_rotation *r, struct place *p, int control)
{
	unlinkat(p->dir, temporary(p), 0);
	int fd = openat(p->dir, temporary(p), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return SECOND;
	close(fd);
	if (!shift(r, p) || renameat(p->dir, p->base, p->dir, nth(p, 1)) != 0) {
		unlinkat(p->dir, temporary(p), 0);
		return SECOND;
	}
	unwatch(r);
	r->owed = true;
	r->asked = 0;
	r->size = 0;
	r->pause = SOONEST / 2;
	return complete(r, p, control);
}

// first_entry is the time of the first entry of a log, 0 if there is none.
static time_t first_entry(struct place *p)
{
	char text[64], sign;
	struct tm t = {0};
	int hours, minutes;
	int fd = openat(p->dir, p->base, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%d-%d-%dT%d:%d:%d.%*d%c%d:%d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min,
		   &t.tm_sec, &sign, &hours, &minutes) != 9)
		return 0;
	t.tm_year -= 1900;
	t.tm_mon--;
	int offset = (hours * 60 + minutes) * 60;
	return timegm(&t) - (sign == '-' ? -offset : offset);
}

// until_old is how long it takes until the log has an entry of max-age.
static int64_t until_old(struct pod_rotation *r, struct place *p, const struct stat *st)
{
	struct timespec now;
	if (r->max_age <= 0 || st->st_size == 0)
		return INT64_MAX;
	if (r->dated != st->st_ino || r->first == 0) {
		r->dated = st->st_ino;
		r->first = first_entry(p);
	}
	if (r->first == 0)
		return SECOND;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t left = r->max_age - (now.tv_sec - r->first) * SECOND;
	return left > 0 ? left : 0;
}

// doze has a log that does not grow watched for its next entry, and for the end
// of its conmon, which closes it.
static int64_t doze(struct pod_rotation *r, struct place *p, off_t size)
{
	char path[NAME_MAX + 40];
	struct stat st;
	if (r->wd >= 0)
		return 60 * SECOND;
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", p->dir, p->base);
	r->wd = pod_notes < 0 ? -1 : inotify_add_watch(pod_notes, path, IN_MODIFY | IN_CLOSE_WRITE | IN_ONESHOT | IN_DONT_FOLLOW);
	// What came before the watch was there is seen now.
	if (fstatat(p->dir, p->base, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size != size)
		return SOONEST;
	return r->wd < 0 ? SECOND : 60 * SECOND;
}

// next_look guesses when the log will have grown to its size.
static int64_t next_look(struct pod_rotation *r, struct place *p, off_t size)
{
	int64_t now = pod_boottime();
	off_t grown = size - r->size;
	int64_t elapsed = now - r->at;
	r->size = size;
	r->at = now;
	int64_t longer = r->pause * 2;
	if (r->max_size <= 0 && grown > 0)
		return SECOND;
	if (grown <= 0) {
		r->pause = longer;
		if (longer < LATEST)
			return longer;
		r->pause = LATEST;
		return doze(r, p, size);
	}
	double predicted = (double)(r->max_size - size) / (double)grown * (double)elapsed;
	if (predicted < (double)longer)
		longer = (int64_t)predicted;
	r->pause = longer < SOONEST ? SOONEST : longer > LATEST ? LATEST : longer;
	return r->pause;
}

static int64_t look(struct pod_rotation *r, struct place *p, int control)
{
	struct stat st;
	if (fstatat(p->dir, p->base, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? complete(r, p, control) : SECOND;
	if (!S_ISREG(st.st_mode))
		return GONE; // the user's own choice of a path; conmon would replace it
	if (r->asked != 0 || r->owed || r->proof_size >= 0) {
		r->asked = 0;
		r->owed = false;
		r->proof_size = -1;
		r->size = 0;
		r->at = pod_boottime();
		r->pause = SOONEST;
	}
	if (r->max_files <= 1)
		unlinkat(p->dir, nth(p, 1), 0); // complete, now that there is a PATH
	int64_t old = until_old(r, p, &st);
	if (old == 0 || (r->max_size > 0 && st.st_size >= r->max_size))
		return rotate(r, p, control);
	int64_t wait = next_look(r, p, st.st_size);
	return wait < old ? wait : old;
}

int64_t pod_rotation_turn(struct pod_rotation *r)
{
	struct place place;
	int64_t wait = SECOND;
	int control = open_control(r);
	if (control < 0)
		return errno == ENXIO || errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? GONE : SECOND;
	signal(SIGPIPE, SIG_IGN);
	if (open_place(r, &place)) {
		wait = look(r, &place, control);
		close(place.dir);
	}
	close(control);
	return wait;
}
