// Shared by the C half of this package, which runs before the Go runtime.
#ifndef POD_ENTER_H
#define POD_ENTER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

// What the constructor found and did; Go reads it through Entry.
struct pod_entry {
	bool inside;	// in pod's namespaces
	bool userns;	// these include a user namespace
	bool within;	// it was started there, not brought there
	bool drop_env;	// the environment claimed a namespace we are not in
	bool handed;	// quick handed the command over
	uid_t uid;	// host ids
	gid_t gid;
	char err[256];	// why we cannot go on
	char why[256];	// why a pause process was not joined
	char lost_dir[256]; // current directory that could not be entered again
};

extern struct pod_entry pod_entry;

// The namespaces a pause process keeps.
enum pod_kind { POD_NONE, POD_USER, POD_MOUNT };

// pod_host_view tells whether the command line asks for nothing but help, the
// version or completion, which need no namespace.
bool pod_host_view(int argc, char **argv);

// pod_hot tells whether quick may know the command of the command line.
bool pod_hot(int argc, char **argv);

// pod_join joins the recorded pause process if it proves to be that. With
// POD_NONE it only finds out whether we are there already.
void pod_join(enum pod_kind kind);

// pod_pause is the pause process. It never returns.
void pod_pause(int argc, char **argv) __attribute__((noreturn));

// pod_open_chrooted writes files of a directory to stdout. It never returns.
void pod_open_chrooted(int argc, char **argv) __attribute__((noreturn));

// pod_old_spec becomes an OCI runtime that knows old specifications only. It never
// returns.
void pod_old_spec(int argc, char **argv) __attribute__((noreturn));

// The programs of PREFIX: PREFIX/bin/pod, and PREFIX/libexec/pod/quick-ID. Others are
// a test, or pod where it was not installed.
enum pod_program { POD_ELSEWHERE, POD_WHOLE, POD_QUICK };
#define POD_QUICK_NAME "quick-"

// pod_prefix finds which program this is, and its PREFIX.
enum pod_program pod_prefix(char prefix[PATH_MAX]);

// pod_become becomes PREFIX/libexec/pod/NAME, if that is there.
void pod_become(const char *prefix, const char *name, char **argv);

// pod_quick becomes quick (cmd/quick), the program of a few commands that starts fast,
// if this is pod, the command is one of them, and quick is there.
void pod_quick(int argc, char **argv);

// POD_HELPER is the small program (cmd/helper) of this version of the libraries that
// talk to it. The name has their versions, so that no other one is taken for it.
#define POD_HELPER "helper-buildah1.45.0-storage1.64.2"

// pod_help becomes the small program, if it is there and can do what is wanted.
void pod_help(char **argv);

// pod_watch is the watcher. It never returns.
void pod_watch(int argc, char **argv) __attribute__((noreturn));

// pod_forward is the port forwarder. It never returns.
void pod_forward(int argc, char **argv) __attribute__((noreturn));

// pod_start_time is when the process behind a directory of /proc began, in clock
// ticks; 0 for one that has ended.
unsigned long long pod_start_time(int proc);

#endif
