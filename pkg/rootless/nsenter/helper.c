// The libraries start the program again, under a name, for what has to be done in a
// chroot: a RUN step copies and unpacks six times. A small program beside pod can do
// that, too; its start takes a third of the time of pod's. Where it is not installed,
// pod goes on and does it itself.
#define _GNU_SOURCE
#include "enter.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

// What cmd/helper links.
static const char *const helped[] = {
	"buildah-copier", "storage-applyLayer", "storage-tar", "storage-untar", NULL,
};

// cut takes the last component off a path.
static bool cut(char *path)
{
	char *slash = strrchr(path, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

void pod_help(char **argv)
{
	const char *const *name = helped;
	while (*name != NULL && strcmp(argv[0], *name) != 0)
		name++;
	if (*name == NULL)
		return;
	static const char helper[] = "/libexec/pod/" POD_HELPER;
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof helper);
	if (n <= 0 || n == (ssize_t)(sizeof path - sizeof helper))
		return;
	path[n] = '\0';
	if (!cut(path) || !cut(path)) // bin/pod
		return;
	strcat(path, helper);
	execv(path, argv);
}
