// The watcher: it starts jobs at their time, without Go. There is one per user at
// most, and none when there is no job. The jobs are files, so that a watcher
// that was killed has lost nothing; pkg/timer makes them, and starts it.
#define _GNU_SOURCE
#include "enter.h"
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK 3 // the locked file, from the pod process that started us
#define SECOND 1000000000LL
#define RUNS ".runs"

static struct pod_job *jobs;
static size_t count;
static int jobs_watch; // of the directory

int64_t pod_boottime(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static struct pod_job *find(const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(jobs[i].name, name) == 0)
			return &jobs[i];
	struct pod_job *more = realloc(jobs, (count + 1) * sizeof *jobs);
	if (more == NULL)
		return NULL;
	jobs = more;
	struct pod_job *job = &jobs[count];
	memset(job, 0, sizeof *job);
	job->pidfd = -1;
	if ((job->name = strdup(name)) == NULL)
		return NULL;
	count++;
	return job;
}

// each calls what for each name in a directory that does not begin with a dot.
static bool each(int dir, void (*what)(const char *name))
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (list == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	struct dirent *entry;
	while ((entry = readdir(list)) != NULL)
		if (entry->d_name[0] != '.')
			what(entry->d_name);
	closedir(list);
	return true;
}

static void seen(const char *name)
{
	struct pod_job *job = find(name);
	// While a run of it goes on, argv and env are that run's, and done with.
	if (job != NULL)
		job->present = pod_job_read(job, pod_jobs_dir);
}

// scan reads the directory, and forgets jobs that are neither there nor running.
static bool scan(void)
{
	for (size_t i = 0; i < count; i++)
		jobs[i].present = false;
	bool ok = each(pod_jobs_dir, seen);
	for (size_t i = 0; i < count;) {
		struct pod_job *job = &jobs[i];
		if (job->present || job->pid != 0) {
			i++;
			continue;
		}
		pod_job_clear(job);
		free(job->name);
		*job = jobs[--count];
	}
	return ok;
}

// follow waits for the end of a process, our child or not.
static void follow(struct pod_job *job, pid_t pid)
{
	job->pid = pid;
	job->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

// adopt finds what the watcher before us started: a process that runs still, or
// a claimed job whose end nobody has seen.
static void adopt(const char *name)
{
	pid_t pid = pod_run_noted(name);
	struct pod_job *job = pid > 0 ? find(name) : NULL;
	if (job != NULL)
		follow(job, pid);
	else
		pod_job_unclaim(name);
}

static void adopt_noted(void)
{
	int fd = openat(pod_runs_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (list == NULL)
		return;
	struct dirent *entry;
	while ((entry = readdir(list)) != NULL) {
		const char *name = entry->d_name + 1;
		if (entry->d_name[0] != '.' || name[0] == '\0' || name[0] == '.')
			continue;
		pid_t pid = pod_run_noted(name);
		struct pod_job *job = pid > 0 ? find(name) : NULL;
		if (job == NULL)
			unlinkat(pod_runs_dir, entry->d_name, 0);
		else if (job->pid == 0)
			follow(job, pid);
	}
	closedir(list);
}

// become turns the child into the job.
static void __attribute__((noreturn)) become(struct pod_job *job)
{
	sigset_t none;
	setsid();
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	pod_run_note(job->name);
	// All descriptors but the first three are closed on exec.
	execve(job->argv[0], job->argv, job->env);
	execve("/proc/self/exe", job->argv, job->env); // it was replaced or moved
	_exit(127);
}

static void start(struct pod_job *job, int64_t now)
{
	if (job->every == 0 && !pod_job_claim(job, now))
		return;
	// The child shares the lock until it is the job: whoever takes the lock
	// after our death finds its note.
	pid_t pid = fork();
	if (pid == 0)
		become(job);
	if (pid > 0) {
		job->ran = job->file;
		follow(job, pid);
		return;
	}
	// No process to be had: later.
	if (job->every == 0)
		pod_job_unclaim(job->name);
	job->due = now + SECOND;
}

// retire removes the file of a rotation that has ended, unless it is a newer one.
static void retire(struct pod_job *job)
{
	struct stat st;
	job->present = false;
	if (renameat(pod_jobs_dir, job->name, pod_runs_dir, job->name) != 0)
		return;
	if (fstatat(pod_runs_dir, job->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == job->file.inode)
		unlinkat(pod_runs_dir, job->name, 0);
	else
		pod_job_unclaim(job->name);
}

static void turn(struct pod_job *job, int64_t now)
{
	int64_t wait = pod_rotation_turn(job->rotation);
	if (wait >= 0) {
		job->due = now + wait;
		return;
	}
	retire(job);
}

// work starts what is due and returns when the next job is, 0 for never.
static int64_t work(void)
{
	int64_t first = 0, now = pod_boottime();
	for (size_t i = 0; i < count; i++) {
		struct pod_job *job = &jobs[i];
		if (!job->present || job->pid != 0)
			continue;
		if (job->due <= now && job->rotation != NULL)
			turn(job, now);
		else if (job->due <= now)
			start(job, now);
		if (job->present && job->pid == 0 && (first == 0 || job->due < first))
			first = job->due;
	}
	return first;
}

// ended deals with the end of a job's process.
static void ended(struct pod_job *job)
{
	int status = 0; // stays so for one that we adopted
	waitpid(job->pid, &status, WNOHANG);
	if (job->pidfd >= 0)
		close(job->pidfd);
	job->pid = 0;
	job->pidfd = -1;
	// A command that was killed has not done its work. A newer file of the job
	// is not touched.
	if (WIFSIGNALED(status))
		pod_job_unclaim(job->name);
	pod_run_forget(job->name);
	// A file that came meanwhile has its own time.
	job->present = pod_job_read(job, pod_jobs_dir);
	if (job->present && job->every > 0 && pod_same_file(job->file, job->ran))
		job->due = pod_boottime() + job->every;
	job->ran = (struct pod_file){0};
	if (job->present && WIFSIGNALED(status) && job->due <= pod_boottime())
		job->due = pod_boottime() + SECOND;
}

// gone tells whether a process that has no pidfd has ended.
static bool gone(struct pod_job *job)
{
	return waitpid(job->pid, NULL, WNOHANG) == job->pid || kill(job->pid, 0) != 0;
}

static void set_timer(int fd, int64_t due)
{
	struct itimerspec at = {.it_value = {.tv_sec = due / SECOND, .tv_nsec = due % SECOND}};
	timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL);
}

// read_notes reads what happened to the directory, and to logs. It returns false
// when the directory is gone.
static bool read_notes(void)
{
	char buf[4096] __attribute__((aligned(8)));
	for (ssize_t n; pod_notes >= 0 && (n = read(pod_notes, buf, sizeof buf)) > 0;)
		for (char *p = buf; p < buf + n; p += sizeof(struct inotify_event) + ((struct inotify_event *)p)->len) {
			const struct inotify_event *event = (struct inotify_event *)p;
			if (event->wd == jobs_watch && event->mask & (IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT))
				return false;
			for (size_t i = 0; i < count; i++)
				if (pod_rotation_noted(jobs[i].rotation, event->wd))
					jobs[i].due = 0;
		}
	return true;
}

// wait_for sleeps until something happens. It returns false when the directory is
// gone.
static bool wait_for(int timer, int64_t due)
{
	static struct pollfd *fds;
	char buf[4096] __attribute__((aligned(8)));
	struct pollfd *more = realloc(fds, (count + 2) * sizeof *fds);
	if (more == NULL)
		return sleep(1) == 0; // the next round tries again
	fds = more;
	bool blind = pod_notes < 0;
	fds[0] = (struct pollfd){.fd = pod_notes, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = timer, .events = POLLIN};
	for (size_t i = 0; i < count; i++) {
		fds[i + 2] = (struct pollfd){.fd = jobs[i].pidfd, .events = POLLIN};
		blind = blind || (jobs[i].pid != 0 && jobs[i].pidfd < 0);
	}
	set_timer(timer, due);
	if (poll(fds, count + 2, blind ? 1000 : -1) < 0)
		return true;
	for (size_t i = 0; i < count; i++)
		if (jobs[i].pid != 0 && (jobs[i].pidfd < 0 ? gone(&jobs[i]) : fds[i + 2].revents != 0))
			ended(&jobs[i]);
	if (fds[1].revents != 0)
		(void)!read(timer, buf, sizeof buf);
	return read_notes();
}

// idle tells whether there is nothing left to do. A job that is written now
// finds the lock free, and its writer starts another watcher; one that was
// written before is found here.
static bool idle(void)
{
	if (count > 0)
		return false;
	flock(LOCK, LOCK_UN);
	scan();
	return count == 0 || flock(LOCK, LOCK_EX | LOCK_NB) != 0;
}

// detach makes a second process, so that pod has no child it does not know of,
// and writes down who that is.
static void detach(void)
{
	pid_t pid = fork();
	if (pid < 0)
		_exit(1);
	if (pid == 0)
		return;
	char path[32], line[128];
	struct stat user = {0}, mnt = {0};
	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned long long began = proc < 0 ? 0 : pod_start_time(proc);
	if (stat("/proc/self/ns/user", &user) != 0 || stat("/proc/self/ns/mnt", &mnt) != 0)
		_exit(1);
	int n = snprintf(line, sizeof line, "pod-watcher 1 %d %llu %llu %llu\n", (int)pid, began,
			 (unsigned long long)user.st_ino, (unsigned long long)mnt.st_ino);
	_exit(ftruncate(LOCK, 0) != 0 || pwrite(LOCK, line, n, 0) != n);
}

// settle_down keeps nothing of the process that started us but the lock.
static void settle_down(void)
{
	int null = open("/dev/null", O_RDWR);
	setsid();
	prctl(PR_SET_NAME, "pod watch");
	prctl(PR_SET_DUMPABLE, 1);
	signal(SIGHUP, SIG_IGN);
	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			_exit(1);
	if (syscall(SYS_close_range, LOCK + 1, ~0U, 0) != 0)
		for (int fd = (int)sysconf(_SC_OPEN_MAX) - 1; fd > LOCK; fd--)
			close(fd);
	fcntl(LOCK, F_SETFD, FD_CLOEXEC);
	if (chdir("/") != 0)
		_exit(1);
}

void pod_watch(int argc, char **argv)
{
	struct stat st;
	if (argc < 3 || fstat(LOCK, &st) != 0 || !S_ISREG(st.st_mode) || flock(LOCK, LOCK_EX | LOCK_NB) != 0) {
		dprintf(STDERR_FILENO, "pod: __watch is started by pod itself\n");
		_exit(125);
	}
	detach();
	settle_down();
	pod_jobs_dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (pod_jobs_dir < 0)
		_exit(1);
	mkdirat(pod_jobs_dir, RUNS, 0700);
	pod_runs_dir = openat(pod_jobs_dir, RUNS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	pod_notes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (pod_runs_dir < 0 || timer < 0)
		_exit(1);
	// Without inotify (a user has few) the directory is looked at each second.
	jobs_watch = inotify_add_watch(pod_notes, argv[2], IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF);
	if (pod_notes >= 0 && jobs_watch < 0) {
		close(pod_notes);
		pod_notes = -1;
	}
	adopt_noted();
	each(pod_runs_dir, adopt);
	do {
		if (!scan())
			break;
		int64_t due = work();
		if (idle())
			break;
		if (!wait_for(timer, due))
			break;
	} while (true);
	_exit(0);
}
