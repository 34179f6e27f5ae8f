// The programs beside pod: PREFIX/bin/pod is what users start, what is in
// PREFIX/libexec/pod does a part of its work in its place.
#define _GNU_SOURCE
#include "enter.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// cut takes a tail off a path, if the path ends with it.
static bool cut(char *path, const char *tail)
{
	size_t n = strlen(path), t = strlen(tail);
	if (n < t || strcmp(path + n - t, tail) != 0)
		return false;
	path[n - t] = '\0';
	return true;
}

// It is internal/self in C.
enum pod_program pod_prefix(char prefix[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", prefix, PATH_MAX);
	if (n <= 0 || n == PATH_MAX)
		return POD_ELSEWHERE;
	prefix[n] = '\0';
	cut(prefix, " (deleted)"); // by an upgrade, say
	if (cut(prefix, "/bin/pod"))
		return POD_WHOLE;
	char *slash = strrchr(prefix, '/');
	if (slash == NULL || strncmp(slash + 1, POD_QUICK_NAME, sizeof POD_QUICK_NAME - 1) != 0)
		return POD_ELSEWHERE;
	*slash = '\0';
	return cut(prefix, "/libexec/pod") ? POD_QUICK : POD_ELSEWHERE;
}

void pod_become(const char *prefix, const char *name, char **argv)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof path, "%s/libexec/pod/%s", prefix, name) < sizeof path)
		execv(path, argv);
}
