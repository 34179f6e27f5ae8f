// Which commands need the host's view, from the command line alone.
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

bool pod_host_view(int argc, char **argv)
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
			return true;
		if (takes_next(arg))
			i++;
	}
	if (i + 1 < argc && strcmp(argv[i], "image") == 0 && strcmp(argv[i + 1], "scp") == 0)
		return true; // ssh must know its user
	return i >= argc || in(host_commands, argv[i], strlen(argv[i]));
}
