// Rotation of log files: the work of the watcher that needs no process.
#include "watch.h"

#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000LL

struct pod_rotation {
	char *path, *control;
	long long max_size, max_age, max_files;
};

struct pod_rotation *pod_rotation_new(void)
{
	return calloc(1, sizeof(struct pod_rotation));
}

bool pod_rotation_field(struct pod_rotation *r, const char *key, const char *value)
{
	if (strcmp(key, "path") == 0)
		return (r->path = strdup(value)) != NULL;
	if (strcmp(key, "control") == 0)
		return (r->control = strdup(value)) != NULL;
	if (strcmp(key, "max-size") == 0)
		r->max_size = atoll(value);
	else if (strcmp(key, "max-age") == 0)
		r->max_age = atoll(value);
	else if (strcmp(key, "max-files") == 0)
		r->max_files = atoll(value);
	else
		return false;
	return true;
}

int64_t pod_rotation_turn(struct pod_rotation *r)
{
	(void)r;
	return -1;
}

void pod_rotation_free(struct pod_rotation *r)
{
	free(r->path);
	free(r->control);
	free(r);
}
