// What kind of command it is, from the command line alone: which need the host's
// view, and which quick may know.
#include "enter.h"

#include <string.h>

// Global flags that take their value from the next word. One missing here costs
// a second start of the program, never a wrong result: Go's Enter notices that
// it is outside and executes the program again, which then joins regardless.
static const char *const value_flags[] = {
	"cdi-spec-dir", "cgroup-manager", "config", "conmon", "connection",
	"context", "cpu-profile", "default-mounts-file", "events-backend",
	"hooks-dir", "host", "identity", "imagestore", "log-level",
	"max-workers", "memory-profile", "module", "namespace",
	"network-backend", "network-config-dir", "out", "pull-option",
	"registries-conf", "root", "runroot", "runtime", "runtime-flag", "ssh",
	"storage-driver", "storage-opt", "tls-ca", "tls-cert", "tls-details",
	"tls-key", "tmpdir", "trace",
	"url", "volumepath", NULL,
};

static const char *const host_commands[] = {
	"help", "completion", "doctor", "__complete", "__completeNoDesc", "__probe",
	"boot", // crontab must know its user; what needs a namespace enters it later
	NULL,
};

// What cmd/quick may know, alone and behind "container".
static const char *const hot[] = {
	"create", "exec", "inspect", "kill", "ps", "rm", "run", "start", "stop", "wait", NULL,
};

static bool in(const char *const *list, const char *word, size_t len)
{
	for (; *list != NULL; list++)
		if (strlen(*list) == len && strncmp(*list, word, len) == 0)
			return true;
	return false;
}

// takes_next tells whether a flag's value is the next word.
static bool takes_next(const char *arg)
{
	if (arg[1] != '-') // -c and -H take a value, -D, -r and the like none
		return strlen(arg) == 2 && (arg[1] == 'c' || arg[1] == 'H');
	if (strchr(arg, '=') != NULL)
		return false;
	return in(value_flags, arg + 2, strlen(arg + 2));
}

// command finds the first word behind the global flags; there is none where one of
// them asks for help or the version.
static int command(int argc, char **argv)
{
	int i = 1;
	for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
		const char *arg = argv[i];
		if (strcmp(arg, "--") == 0) {
			i++;
			break;
		}
		if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0 ||
		    strcmp(arg, "--version") == 0 || strcmp(arg, "-v") == 0)
			return argc;
		if (takes_next(arg))
			i++;
	}
	return i;
}

bool pod_host_view(int argc, char **argv)
{
	int i = command(argc, argv);
	if (i + 1 < argc && strcmp(argv[i], "image") == 0 && strcmp(argv[i + 1], "scp") == 0)
		return true; // ssh must know its user
	return i >= argc || in(host_commands, argv[i], strlen(argv[i]));
}

bool pod_hot(int argc, char **argv)
{
	static const char *const alone[] = {"version", NULL};
	static const char *const grouped[] = {"cleanup", "list", "ls", NULL};
	if (argc > 2 && strcmp(argv[1], "__cleanup") == 0) { // the lock, and then a command line
		argc -= 2;
		argv += 2;
	}
	int i = command(argc, argv);
	if (i >= argc)
		return false;
	const char *const *more = alone;
	if (i + 1 < argc && strcmp(argv[i], "container") == 0) {
		more = grouped;
		i++;
	}
	return in(hot, argv[i], strlen(argv[i])) || in(more, argv[i], strlen(argv[i]));
}
