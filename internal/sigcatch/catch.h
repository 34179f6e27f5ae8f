#ifndef POD_SIGCATCH_H
#define POD_SIGCATCH_H

#include <stddef.h>

// pod_catch has each of the signals written to fd, one byte each, until pod_release gives
// them back to who had them. It is not called twice without that between.
void pod_catch(int fd, const unsigned char *signals, size_t count);
void pod_release(void);

#endif
