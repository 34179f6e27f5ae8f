// Shared by the files of the port forwarder: forward.c starts and waits,
// forward_tcp.c and forward_udp.c carry.
#ifndef POD_FORWARD_H
#define POD_FORWARD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

// pod_watched is what an epoll event points to: the first field of everything
// that is waited for.
struct pod_watched {
	void (*on)(struct pod_watched *w, uint32_t events);
	int fd;
};

union pod_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

// pod_listener is a published port.
struct pod_listener {
	struct pod_watched w; // the socket in the host's namespace
	uint16_t port;	      // of the container
	bool paused;	      // out of descriptors: waits for a connection to end
};

// What the container is reached by, and whom it sees when the client's own address
// cannot be shown. Family 0 if it has none.
struct pod_inside {
	union pod_addr address[2], stand_in[2]; // 0: IPv4, 1: IPv6
};

extern struct pod_inside pod_inside;
extern int pod_epoll;
// pod_mark is what the container's routing rule knows forwarded connections by, and
// the first of two routing tables. 0: this kernel has no such rules, and the
// container sees itself as the client.
extern int pod_mark;

// pod_outward makes a socket in the container's namespace for a client: it has the
// client's address where that can be, and to is where it is to connect. -1 on
// failure.
int pod_outward(int type, const union pod_addr *client, uint16_t port, union pod_addr *from, union pod_addr *to);

socklen_t pod_addr_len(const union pod_addr *a);
bool pod_watch_fd(struct pod_watched *w, uint32_t events);

void pod_tcp_accept(struct pod_watched *w, uint32_t events);
// pod_tcp_turn goes on with connections that gave others a turn; true if any did.
bool pod_tcp_turn(void);
// pod_resume_listeners is called when a descriptor is free again.
void pod_resume_listeners(void);

void pod_udp_read(struct pod_watched *w, uint32_t events);
bool pod_udp_init(void);
bool pod_udp_listen(struct pod_listener *l);
// pod_udp_expire ends flows that were idle for long; true if some are left.
bool pod_udp_expire(void);

// pod_route_client adds or removes the route by which answers to a client come
// back to us.
void pod_route_client(const union pod_addr *client, bool add);

#endif
