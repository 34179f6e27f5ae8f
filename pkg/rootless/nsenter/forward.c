// The port forwarder: carries what clients send to published ports of a container
// on a bridge network, without Go. One process a container; pkg/network/forward
// makes the listening sockets in the host's namespace and starts it with them.
//
// The way in is a socket in the container's own namespace that connects over its
// loopback with the client's address (IP_TRANSPARENT). The way back would be the
// container's default route. For TCP the container's sockets take the mark of the
// connection over (tcp_fwmark_accept), and a rule sends what has it back to the
// loopback; for UDP a rule does so for published ports, towards clients that are
// being served. No firewall is needed, and nothing outside of
// the container's namespace is changed.
#define _GNU_SOURCE
#include "enter.h"
#include "forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NETNS 3	 // the container's namespace
#define STATUS 4 // a pipe: one byte when ready
#define SOCKETS 5

struct pod_inside pod_inside;
int pod_epoll;
int pod_mark;

static struct pod_listener *listeners;
static int listener_count;

static void __attribute__((noreturn)) fail(const char *what)
{
	dprintf(2, "forward ports: %s: %s\n", what, strerror(errno));
	_exit(1);
}

socklen_t pod_addr_len(const union pod_addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof a->in : sizeof a->in6;
}

bool pod_watch_fd(struct pod_watched *w, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = w};
	return epoll_ctl(pod_epoll, EPOLL_CTL_ADD, w->fd, &event) == 0;
}

void pod_resume_listeners(void)
{
	for (int i = 0; i < listener_count; i++)
		if (listeners[i].paused)
			listeners[i].paused = !pod_watch_fd(&listeners[i].w, EPOLLIN);
}

static void set_port(union pod_addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else
		a->in6.sin6_port = htons(port);
}

// unmap turns an IPv4 address of an IPv6 socket into one.
static void unmap(union pod_addr *a)
{
	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = a->in6.sin6_port};
	memcpy(&in.sin_addr, &a->in6.sin6_addr.s6_addr[12], 4);
	a->in = in;
}

// local tells whether an address means the machine it is seen on: as a source it
// would be taken for the container itself.
static bool local(const union pod_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return (ntohl(a->in.sin_addr.s_addr) >> 24) == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) || IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr);
}

static bool same(const union pod_addr *a, const union pod_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

int pod_outward(int type, const union pod_addr *client, uint16_t port, union pod_addr *from, union pod_addr *to)
{
	const int one = 1;
	*from = *client;
	unmap(from);
	int family = from->sa.sa_family == AF_INET6; // the container's address to connect to
	if (pod_inside.address[family].sa.sa_family == 0)
		family = !family;
	*to = pod_inside.address[family];
	if (to->sa.sa_family != from->sa.sa_family || local(from) || same(from, to))
		*from = pod_inside.stand_in[family];
	if (pod_mark == 0)
		memset(from, 0, sizeof *from);
	int fd = socket(to->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	bool four = to->sa.sa_family == AF_INET;
	const int level = four ? SOL_IP : SOL_IPV6;
	bool ok = pod_mark == 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &pod_mark, sizeof pod_mark) == 0;
	if (ok && from->sa.sa_family != 0) {
		ok = setsockopt(fd, level, four ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one, sizeof one) == 0;
		// A client may use one port of its own for several of ours. A stand-in's
		// port must not be another flow's, which this option would allow.
		if (type == SOCK_DGRAM && from->in.sin_port != 0)
			ok = ok && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0;
		// The port is the kernel's to choose: the client's own may wait for its
		// end with an earlier connection.
		if (type == SOCK_STREAM) {
			set_port(from, 0);
			(void)setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		}
		ok = ok && bind(fd, &from->sa, pod_addr_len(from)) == 0;
	}
	set_port(to, port);
	if (ok && (connect(fd, &to->sa, pod_addr_len(to)) == 0 || errno == EINPROGRESS))
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

// parse_addr reads an address, or "-" for none.
static bool parse_addr(const char *text, union pod_addr *a)
{
	memset(a, 0, sizeof *a);
	if (strcmp(text, "-") == 0)
		return true;
	if (inet_pton(AF_INET, text, &a->in.sin_addr) == 1)
		a->sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &a->in6.sin6_addr) == 1)
		a->sa.sa_family = AF_INET6;
	return a->sa.sa_family != 0;
}

// confine keeps the one capability that transparent sockets need.
static void confine(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	memset(data, 0, sizeof data);
	data[0].effective = data[0].permitted = 1U << CAP_NET_ADMIN;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_capset, &header, data) != 0)
		fail("give up capabilities");
}

static void __attribute__((noreturn)) carry(void)
{
	struct epoll_event events[64];
	bool again = false, flows = false;
	for (;;) {
		int n = epoll_wait(pod_epoll, events, 64, again ? 0 : flows ? 5000 : -1);
		if (n < 0 && errno != EINTR)
			fail("wait");
		for (int i = 0; i < n; i++) {
			struct pod_watched *w = events[i].data.ptr;
			w->on(w, events[i].events);
		}
		again = pod_tcp_turn();
		flows = pod_udp_expire();
	}
}

// pod_forward's arguments: the namespace's path, for who looks for us; the mark;
// the container's IPv4 and IPv6 address and a stand-in for each; then for each
// socket tcp:PORT or udp:PORT.
void pod_forward(int argc, char **argv)
{
	if (argc < 9)
		_exit(2);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "pod ports");
	pod_mark = atoi(argv[3]);
	for (int i = 0; i < 2; i++)
		if (!parse_addr(argv[4 + i], &pod_inside.address[i]) || !parse_addr(argv[6 + i], &pod_inside.stand_in[i]))
			_exit(2);
	listener_count = argc - 8;
	listeners = calloc((size_t)listener_count, sizeof *listeners);
	if (listeners == NULL)
		fail("remember ports");
	if (setns(NETNS, CLONE_NEWNET) != 0)
		fail("enter the container's network namespace");
	close(NETNS); // the namespace is to end with the container: it is ours no longer than we live
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if ((pod_epoll = epoll_create1(EPOLL_CLOEXEC)) < 0 || !pod_udp_init())
		fail("wait for clients");
	for (int i = 0; i < listener_count; i++) {
		struct pod_listener *l = &listeners[i];
		const char *spec = argv[8 + i];
		bool tcp = strncmp(spec, "tcp:", 4) == 0;
		l->w.fd = SOCKETS + i;
		l->w.on = tcp ? pod_tcp_accept : pod_udp_read;
		l->port = (uint16_t)atoi(spec + 4);
		if (fcntl(l->w.fd, F_SETFL, O_NONBLOCK) != 0 || !(tcp ? listen(l->w.fd, SOMAXCONN) == 0 : pod_udp_listen(l)))
			fail("listen");
		if (!pod_watch_fd(&l->w, EPOLLIN))
			fail("wait for clients");
	}
	confine();
	if (write(STATUS, "1", 1) != 1)
		_exit(1);
	close(STATUS);
	carry();
}
