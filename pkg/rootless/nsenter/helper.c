// The libraries start the program again, under a name, for what has to be done in a
// chroot: a RUN step copies and unpacks six times. A small program beside pod can do
// that, too; its start takes a third of the time of pod's. Where it is not installed,
// pod goes on and does it itself.
#define _GNU_SOURCE
#include "enter.h"

#include <string.h>

// What cmd/helper links.
static const char *const helped[] = {
	"buildah-copier", "storage-applyLayer", "storage-tar", "storage-untar", NULL,
};

void pod_help(char **argv)
{
	const char *const *name = helped;
	while (*name != NULL && strcmp(argv[0], *name) != 0)
		name++;
	if (*name == NULL)
		return;
	char prefix[PATH_MAX];
	if (pod_prefix(prefix) != POD_ELSEWHERE)
		pod_become(prefix, POD_HELPER, argv);
}
