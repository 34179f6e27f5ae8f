// A build gives the OCI runtime the specification's newest version, which crun 1.8
// (Debian 12) refuses, though nothing in it is new. Started as "pod-runtime", the
// program writes an older version into the bundle of a create and becomes the runtime
// that POD_OLD_RUNTIME names: buildah hands arguments to steps, not to scanners. A build starts it five times
// a step; the start of Go would take longer than the runtime.
#define _GNU_SOURCE
#include "enter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char variable[] = "POD_OLD_RUNTIME";
static const char key[] = "\"ociVersion\":\"";
static const char version[] = "1.0.2";

// The version is the first key that Go writes.
enum { BEGIN = 4096 };

static void __attribute__((noreturn)) fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	_exit(1);
}

static void lower_version(const char *bundle)
{
	char path[4096], text[BEGIN + 1];
	if (snprintf(path, sizeof path, "%s/config.json", bundle) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		fail(bundle);
	}
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		fail(path);
	ssize_t n = pread(fd, text, BEGIN, 0);
	if (n < 0)
		fail(path);
	text[n] = '\0';
	char *at = strstr(text, key);
	if (at != NULL) {
		at += strlen(key);
		// Another length is left for the runtime to complain of.
		if (strcspn(at, "\"") == strlen(version) &&
		    pwrite(fd, version, strlen(version), at - text) != (ssize_t)strlen(version))
			fail(path);
	}
	close(fd);
}

void pod_old_spec(int argc, char **argv)
{
	char *runtime = getenv(variable);
	if (runtime == NULL) {
		fprintf(stderr, "%s: %s is not set\n", argv[0], variable);
		_exit(1);
	}
	bool create = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "create") == 0 || strcmp(argv[i], "run") == 0)
			create = true;
		else if (create && strcmp(argv[i], "--bundle") == 0 && i + 1 < argc) {
			lower_version(argv[i + 1]);
			break;
		}
	}
	argv[0] = runtime;
	execv(runtime, argv);
	fail(runtime);
}
