// The files of the watcher's jobs. pkg/timer/jobfile.go writes them: fields
// "key=value", each ended by a zero byte, the first of which is job=1.
#define _GNU_SOURCE
#include "enter.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#endif

#define LARGEST (256 * 1024) // of a job's file: arguments and environment
#define HEADER "job=1"

int pod_jobs_dir, pod_runs_dir;

// slurp reads a regular file and ends it with two zero bytes.
static char *slurp(int dir, const char *name, size_t *size)
{
	struct stat st;
	char *data = NULL;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= LARGEST && (data = malloc(st.st_size + 2)) != NULL) {
		ssize_t n = read(fd, data, st.st_size);
		*size = n > 0 ? (size_t)n : 0;
		data[*size] = data[*size + 1] = '\0';
	}
	close(fd);
	return data;
}

static const char *this_boot(void)
{
	static char id[64];
	if (id[0] != '\0')
		return id;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof id - 1);
	if (fd >= 0)
		close(fd);
	id[n > 0 ? n : 0] = '\0';
	id[strcspn(id, "\n")] = '\0';
	return id;
}

void pod_job_clear(struct pod_job *job)
{
	free(job->data);
	free(job->argv);
	free(job->env);
	if (job->rotation != NULL)
		pod_rotation_free(job->rotation);
	job->data = NULL;
	job->argv = job->env = NULL;
	job->rotation = NULL;
	job->file = (struct pod_file){0};
	job->due = job->every = 0;
}

// next walks the fields; it cuts each in two and returns its key.
static char *next(char **at, const char *end, char **value)
{
	char *field = *at;
	if (field >= end || *field == '\0')
		return NULL;
	*at = field + strlen(field) + 1;
	*value = strchr(field, '=');
	if (*value == NULL)
		return NULL;
	*(*value)++ = '\0';
	return field;
}

// parse fills the job from its data. Each argument takes a field of the file, so
// a first pass counts them.
static bool parse(struct pod_job *job, size_t size)
{
	char *end = job->data + size, *value, *key;
	size_t fields = 0, args = 0, vars = 0;
	bool boot = false;
	for (char *p = job->data; p < end; p += strlen(p) + 1)
		fields++;
	job->argv = calloc(fields + 1, sizeof *job->argv);
	job->env = calloc(fields + 1, sizeof *job->env);
	if (strcmp(job->data, HEADER) != 0 || job->argv == NULL || job->env == NULL)
		return false;
	char *at = job->data + sizeof HEADER;
	while ((key = next(&at, end, &value)) != NULL) {
		if (strcmp(key, "arg") == 0)
			job->argv[args++] = value;
		else if (strcmp(key, "env") == 0)
			job->env[vars++] = value;
		else if (strcmp(key, "due") == 0)
			job->due = strtoll(value, NULL, 10);
		else if (strcmp(key, "every") == 0)
			job->every = strtoll(value, NULL, 10);
		else if (strcmp(key, "boot") == 0)
			boot = strcmp(value, this_boot()) == 0;
		else if (strcmp(key, "rotate") == 0)
			job->rotation = pod_rotation_new();
		else if (job->rotation == NULL || !pod_rotation_field(job->rotation, key, value))
			return false;
	}
	return boot && (args > 0 || job->rotation != NULL);
}

bool pod_job_read(struct pod_job *job, int dir)
{
	struct stat st;
	size_t size = 0;
	if (fstatat(dir, job->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	struct pod_file file = {st.st_ino, st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec};
	if (job->data != NULL && pod_same_file(job->file, file))
		return true;
	pod_job_clear(job);
	job->data = slurp(dir, job->name, &size);
	if (job->data != NULL && parse(job, size)) {
		job->file = file; // if it was replaced since, the next look says so
		return true;
	}
	pod_job_clear(job);
	// Of another boot, or nothing of ours: it would only be read again.
	unlinkat(dir, job->name, 0);
	return false;
}

bool pod_job_claim(struct pod_job *job, int64_t now)
{
	if (renameat(pod_jobs_dir, job->name, pod_runs_dir, job->name) != 0)
		return false;
	job->present = false;
	// It may have been replaced since it was read.
	if (!pod_job_read(job, pod_runs_dir))
		return false;
	if (job->due <= now && job->every == 0)
		return true;
	pod_job_unclaim(job->name);
	return false;
}

void pod_job_unclaim(const char *name)
{
	if (syscall(SYS_renameat2, pod_runs_dir, name, pod_jobs_dir, name, RENAME_NOREPLACE) != 0)
		unlinkat(pod_runs_dir, name, 0);
}

// pid_file names the record of a run beside the file of a claimed job.
static const char *pid_file(const char *name)
{
	static char path[256 + 8];
	snprintf(path, sizeof path, ".%.255s", name);
	return path;
}

static unsigned long long started(pid_t pid)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return 0;
	unsigned long long start = pod_start_time(proc);
	close(proc);
	return start;
}

void pod_run_note(const char *name)
{
	int fd = openat(pod_runs_dir, pid_file(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	dprintf(fd, "%d %llu\n", (int)getpid(), started(getpid()));
	close(fd);
}

pid_t pod_run_noted(const char *name)
{
	size_t size = 0;
	int pid = 0;
	unsigned long long start = 0;
	char *text = slurp(pod_runs_dir, pid_file(name), &size);
	if (text == NULL)
		return 0;
	bool ok = sscanf(text, "%d %llu", &pid, &start) == 2 && pid > 0 && start != 0 && started(pid) == start;
	free(text);
	return ok ? pid : 0;
}

void pod_run_forget(const char *name)
{
	unlinkat(pod_runs_dir, name, 0);
	unlinkat(pod_runs_dir, pid_file(name), 0);
}
