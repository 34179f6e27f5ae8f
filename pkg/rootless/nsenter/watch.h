// Shared by the files of the watcher: watch.c keeps time and processes,
// watch_job.c the jobs' files, watch_rotate.c what the watcher does itself.
#ifndef POD_WATCH_H
#define POD_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// A rotation of a log file; only watch_rotate.c knows what is in it.
struct pod_rotation;

// Which file it is: an inode's number may be another file's later.
struct pod_file {
	ino_t inode;
	int64_t changed;
};

static inline bool pod_same_file(struct pod_file a, struct pod_file b)
{
	return a.inode == b.inode && a.changed == b.changed;
}

// A job is a file of the directory that the watcher was started for, and
// perhaps a process.
struct pod_job {
	char *name;
	bool present; // its file is there
	struct pod_file file; // that was read
	struct pod_file ran;  // that the present run is of
	int64_t due;  // nanoseconds of CLOCK_BOOTTIME
	int64_t every; // from the end of a run to the next; 0: one run only
	char *data;   // the file; argv and env point into it
	char **argv, **env;
	struct pod_rotation *rotation; // instead of argv
	pid_t pid;    // its process, 0 if none runs
	int pidfd;
};

// Directory of the jobs, and of what is known of those that run.
extern int pod_jobs_dir, pod_runs_dir;

// pod_job_read reads NAME of dir into the job, unless it is the file that was
// read already. It returns false if there is none, or none of this boot.
bool pod_job_read(struct pod_job *job, int dir);
void pod_job_clear(struct pod_job *job);

// pod_job_claim takes the file of a job that runs once out of the directory, so
// that another one of its name can come. False if it is not due any more.
bool pod_job_claim(struct pod_job *job, int64_t now);

// pod_job_unclaim puts the file of a run that nobody has seen the end of back.
void pod_job_unclaim(const char *name);

// pod_run_note records the calling process as a job's; pod_run_noted finds a
// process that was, if it still runs; pod_run_forget removes the record.
void pod_run_note(const char *name);
pid_t pod_run_noted(const char *name);
void pod_run_forget(const char *name);

int64_t pod_boottime(void);

// The hooks of a rotation. field takes a line of its file and returns whether it
// knows it. turn looks at the log once, and returns in how many nanoseconds it
// wants to look again, or a negative number when there is nothing left to do:
// the job's file then goes.
struct pod_rotation *pod_rotation_new(void);
bool pod_rotation_field(struct pod_rotation *rotation, const char *key, const char *value);
int64_t pod_rotation_turn(struct pod_rotation *rotation);
void pod_rotation_free(struct pod_rotation *rotation);

// pod_notes is the watcher's inotify descriptor, -1 without. A rotation may add
// watches; pod_rotation_noted takes their events, and returns whether it is its.
extern int pod_notes;
bool pod_rotation_noted(struct pod_rotation *rotation, int wd);

#endif
