// Datagrams of the port forwarder: a flow is a client of one port, with a socket of
// its own in the container's namespace, until both have been silent for a while.
#define _GNU_SOURCE
#include "forward.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDLE 90		// seconds without a datagram, as the field's forwarders
#define MAX_FLOWS 2048	// beyond, the one that was silent longest goes
#define BUCKETS 1024
#define BURST 32	// datagrams of one socket until others get their turn

struct flow {
	struct pod_watched w; // the socket in the container's namespace
	struct pod_listener *listener;
	union pod_addr client, source; // source: whom the container sees
	uint8_t local[CMSG_SPACE(sizeof(struct in6_pktinfo))]; // where the client sent to
	size_t local_len;
	time_t last;
	bool dead;
	struct flow *next;		  // in its bucket, or among the dead
	struct flow *newer, *older; // by the last datagram
};

static struct flow *buckets[BUCKETS], *newest, *oldest, *dead;
static int flow_count, routes = -1;
static char buffer[65536];

static time_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec;
}

static unsigned bucket_of(const struct pod_listener *l, const union pod_addr *a)
{
	uint32_t hash = 2166136261U ^ (uint32_t)l->w.fd;
	const uint8_t *p = (const uint8_t *)a;
	for (socklen_t i = 0; i < pod_addr_len(a); i++)
		hash = (hash ^ p[i]) * 16777619U;
	return hash % BUCKETS;
}

static void unlink_age(struct flow *f)
{
	*(f->newer != NULL ? &f->newer->older : &newest) = f->older;
	*(f->older != NULL ? &f->older->newer : &oldest) = f->newer;
}

static void touch(struct flow *f, bool known)
{
	f->last = now();
	if (newest == f)
		return;
	if (known)
		unlink_age(f);
	f->newer = NULL;
	f->older = newest;
	*(newest != NULL ? &newest->newer : &oldest) = f;
	newest = f;
}

static bool same_host(const union pod_addr *a, const union pod_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

// forget ends a flow. Its memory is kept until all events of this round are dealt
// with.
static void forget(struct flow *f)
{
	struct flow **at = &buckets[bucket_of(f->listener, &f->client)];
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	unlink_age(f);
	close(f->w.fd);
	flow_count--;
	f->dead = true;
	f->next = dead;
	dead = f;
	for (struct flow *other = newest; other != NULL; other = other->older)
		if (same_host(&other->source, &f->source))
			return;
	pod_route_client(&f->source, false);
}

bool pod_udp_expire(void)
{
	while (oldest != NULL && now() - oldest->last > IDLE) {
		forget(oldest);
		pod_resume_listeners();
	}
	while (dead != NULL) {
		struct flow *f = dead;
		dead = f->next;
		free(f);
	}
	return oldest != NULL;
}

// answer carries what the container sends to the client, from the address that the
// client knows.
static void answer(struct pod_watched *w, uint32_t events)
{
	struct flow *f = (struct flow *)w;
	(void)events;
	for (int i = 0; i < BURST && !f->dead; i++) {
		ssize_t n = recv(w->fd, buffer, sizeof buffer, 0);
		if (n < 0)
			return; // nothing more, or nobody listens there: the error is taken
		struct iovec data = {.iov_base = buffer, .iov_len = (size_t)n};
		struct msghdr msg = {
			.msg_name = &f->client, .msg_namelen = pod_addr_len(&f->client), .msg_iov = &data, .msg_iovlen = 1,
			.msg_control = f->local_len > 0 ? f->local : NULL, .msg_controllen = f->local_len,
		};
		touch(f, true);
		(void)sendmsg(f->listener->w.fd, &msg, MSG_NOSIGNAL); // UDP may lose it
	}
}

// keep_local keeps the address that a datagram came to, in the shape in which the
// answer says it.
static void keep_local(struct flow *f, struct msghdr *msg)
{
	f->local_len = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		bool four = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO;
		if (!four && (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO))
			continue;
		struct cmsghdr *out = (struct cmsghdr *)f->local;
		out->cmsg_level = c->cmsg_level;
		out->cmsg_type = c->cmsg_type;
		if (four) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			info.ipi_spec_dst = info.ipi_addr;
			info.ipi_ifindex = 0;
			out->cmsg_len = CMSG_LEN(sizeof info);
			memcpy(CMSG_DATA(out), &info, sizeof info);
			f->local_len = CMSG_SPACE(sizeof info);
		} else {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				info.ipi6_ifindex = 0;
			out->cmsg_len = CMSG_LEN(sizeof info);
			memcpy(CMSG_DATA(out), &info, sizeof info);
			f->local_len = CMSG_SPACE(sizeof info);
		}
	}
}

static struct flow *begin(struct pod_listener *l, const union pod_addr *client)
{
	if (flow_count >= MAX_FLOWS)
		forget(oldest);
	struct flow *f = calloc(1, sizeof *f);
	union pod_addr to;
	if (f == NULL)
		return NULL;
	f->client = *client;
	f->listener = l;
	f->w.on = answer;
	f->w.fd = pod_outward(SOCK_DGRAM, client, l->port, &f->source, &to);
	if (f->w.fd < 0 && (errno == EMFILE || errno == ENFILE) && oldest != NULL) {
		forget(oldest);
		f->w.fd = pod_outward(SOCK_DGRAM, client, l->port, &f->source, &to);
	}
	if (f->w.fd < 0 || !pod_watch_fd(&f->w, EPOLLIN)) {
		if (f->w.fd >= 0)
			close(f->w.fd);
		free(f);
		return NULL;
	}
	pod_route_client(&f->source, true);
	unsigned bucket = bucket_of(l, client);
	f->next = buckets[bucket];
	buckets[bucket] = f;
	flow_count++;
	touch(f, false);
	return f;
}

void pod_udp_read(struct pod_watched *w, uint32_t events)
{
	struct pod_listener *l = (struct pod_listener *)w;
	(void)events;
	for (int i = 0; i < BURST; i++) {
		union pod_addr client;
		uint8_t control[256] __attribute__((aligned(8)));
		struct iovec data = {.iov_base = buffer, .iov_len = sizeof buffer};
		memset(&client, 0, sizeof client); // it is hashed and compared whole
		struct msghdr msg = {
			.msg_name = &client, .msg_namelen = sizeof client, .msg_iov = &data, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof control,
		};
		ssize_t n = recvmsg(w->fd, &msg, 0);
		if (n < 0)
			return;
		struct flow *f = buckets[bucket_of(l, &client)];
		while (f != NULL && (f->listener != l || memcmp(&f->client, &client, sizeof client) != 0))
			f = f->next;
		if (f == NULL && (f = begin(l, &client)) == NULL)
			continue;
		keep_local(f, &msg);
		touch(f, true);
		if (send(f->w.fd, buffer, (size_t)n, MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED)
			(void)send(f->w.fd, buffer, (size_t)n, MSG_NOSIGNAL); // the error was of the datagram before
	}
}

bool pod_udp_listen(struct pod_listener *l)
{
	const int one = 1;
	int domain = AF_INET;
	socklen_t len = sizeof domain;
	if (getsockopt(l->w.fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		return false;
	// An IPv6 socket that takes IPv4 too says the latter's address mapped.
	if (domain == AF_INET6)
		return setsockopt(l->w.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one) == 0;
	return setsockopt(l->w.fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one) == 0;
}

bool pod_udp_init(void)
{
	const struct timeval soon = {.tv_sec = 1};
	routes = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return routes >= 0 && setsockopt(routes, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0;
}

void pod_route_client(const union pod_addr *client, bool add)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg route;
		char attributes[128];
	} request;
	bool four = client->sa.sa_family == AF_INET;
	size_t size = four ? 4 : 16;
	uint32_t table = (uint32_t)pod_mark + 1, loopback = 1;
	if (client->sa.sa_family == 0 || pod_mark == 0)
		return;
	const union pod_addr *own = &pod_inside.address[!four];
	memset(&request, 0, sizeof request);
	request.head.nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
	request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE : 0);
	request.route.rtm_family = client->sa.sa_family;
	request.route.rtm_dst_len = (unsigned char)(size * 8);
	request.route.rtm_type = RTN_LOCAL;
	request.route.rtm_scope = RT_SCOPE_HOST;
	request.route.rtm_protocol = RTPROT_STATIC;
	request.head.nlmsg_len = NLMSG_LENGTH(sizeof request.route);
	const struct {
		unsigned short type;
		const void *data;
		size_t size;
	} attributes[] = {
		{RTA_DST, four ? (const void *)&client->in.sin_addr : (const void *)&client->in6.sin6_addr, size},
		{RTA_OIF, &loopback, sizeof loopback},
		{RTA_TABLE, &table, sizeof table},
		// Without it a server that has not chosen one would answer from the
		// client's address.
		{RTA_PREFSRC, four ? (const void *)&own->in.sin_addr : (const void *)&own->in6.sin6_addr, size},
	};
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
		struct rtattr *a = (struct rtattr *)((char *)&request + NLMSG_ALIGN(request.head.nlmsg_len));
		a->rta_type = attributes[i].type;
		a->rta_len = (unsigned short)RTA_LENGTH(attributes[i].size);
		memcpy(RTA_DATA(a), attributes[i].data, attributes[i].size);
		request.head.nlmsg_len = NLMSG_ALIGN(request.head.nlmsg_len) + RTA_ALIGN(a->rta_len);
	}
	// The answer is waited for, so that the container's comes back to us.
	char reply[1024];
	if (send(routes, &request, request.head.nlmsg_len, 0) > 0)
		(void)!recv(routes, reply, sizeof reply, 0);
}
