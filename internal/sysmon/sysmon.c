#include <pthread.h>
#include <sys/prctl.h>

// The slack of the relaxed thread and that of all others, in nanoseconds; 0 before.
unsigned long pod_sysmon_slack, pod_sysmon_normal;

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

// The watching thread starts others too, when goroutines sit in system calls, and a thread
// begins with the slack of the one that makes it.
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	unsigned long relaxed = __atomic_load_n(&pod_sysmon_slack, __ATOMIC_ACQUIRE);
	if (relaxed == 0 || (unsigned long)prctl(PR_GET_TIMERSLACK) != relaxed)
		return __real_pthread_create(thread, attr, start, arg);
	prctl(PR_SET_TIMERSLACK, pod_sysmon_normal);
	int err = __real_pthread_create(thread, attr, start, arg);
	prctl(PR_SET_TIMERSLACK, relaxed);
	return err;
}

void pod_sysmon_relaxed(unsigned long slack)
{
	pod_sysmon_normal = prctl(PR_GET_TIMERSLACK);
	__atomic_store_n(&pod_sysmon_slack, slack, __ATOMIC_RELEASE);
}
