// TCP connections of the port forwarder: two sockets, and a pipe for each
// direction that has something on its way. Data stays in the kernel (splice).
#define _GNU_SOURCE
#include "forward.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK (1U << 20)
#define PIPE_SIZE (1 << 20)
#define TURN 16 // chunks of one direction until others get their turn
#define SPARE 8 // pipes kept for the next who needs one

struct conn;

struct side {
	struct pod_watched w;
	struct conn *conn;
	bool readable, writable, eof; // eof: it has sent all
	bool closed;		      // and the other was told
};

// conn's side 0 is the client, 1 the container. pipes[i] carries what side i sent.
struct conn {
	struct side side[2];
	struct {
		int fd[2];
		size_t held;
	} pipes[2];
	bool connected, queued, dead;
	struct conn *next; // in the queue of those that gave others a turn, or of the dead
};

static struct conn *queue, *dead;
static int spare[SPARE][2], spares;

static bool take_pipe(int fd[2])
{
	if (spares > 0) {
		spares--;
		fd[0] = spare[spares][0];
		fd[1] = spare[spares][1];
		return true;
	}
	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC) != 0) {
		fd[0] = fd[1] = -1;
		return false;
	}
	(void)fcntl(fd[1], F_SETPIPE_SZ, PIPE_SIZE); // a user with many pipes keeps small ones
	return true;
}

// give_pipe takes back a pipe; only an empty one serves again.
static void give_pipe(int fd[2], bool empty)
{
	if (fd[0] < 0)
		return;
	if (empty && spares < SPARE) {
		spare[spares][0] = fd[0];
		spare[spares][1] = fd[1];
		spares++;
	} else {
		close(fd[0]);
		close(fd[1]);
	}
	fd[0] = fd[1] = -1;
}

// end closes a connection. After an error both sides see a reset. The memory is
// kept until all events of this round are dealt with.
static void end(struct conn *c, bool reset)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	if (c->dead)
		return;
	for (int i = 0; i < 2; i++) {
		if (reset)
			(void)setsockopt(c->side[i].w.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(c->side[i].w.fd);
		give_pipe(c->pipes[i].fd, c->pipes[i].held == 0);
	}
	c->dead = true;
	if (!c->queued) {
		c->next = dead;
		dead = c;
	}
	pod_resume_listeners();
}

// move carries what side i sends as far as it goes. It returns 1 when others are
// to have a turn, -1 after an error.
static int move(struct conn *c, int i)
{
	struct side *from = &c->side[i], *to = &c->side[!i];
	int *fd = c->pipes[i].fd;
	for (int turn = 0; turn < TURN; turn++) {
		if (c->pipes[i].held == 0 && from->readable && !from->eof) {
			if (fd[0] < 0 && !take_pipe(fd))
				return -1;
			ssize_t n = splice(from->w.fd, NULL, fd[1], NULL, CHUNK, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
			if (n > 0)
				c->pipes[i].held = (size_t)n;
			else if (n == 0)
				from->eof = true;
			else if (errno == EAGAIN)
				from->readable = false;
			else if (errno != EINTR)
				return -1;
		}
		if (c->pipes[i].held > 0 && to->writable) {
			ssize_t n = splice(fd[0], NULL, to->w.fd, NULL, c->pipes[i].held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
			if (n > 0)
				c->pipes[i].held -= (size_t)n;
			else if (n < 0 && errno == EAGAIN)
				to->writable = false;
			else if (n < 0 && errno != EINTR)
				return -1;
		}
		if (c->pipes[i].held > 0 ? !to->writable : from->eof || !from->readable)
			break;
		if (turn == TURN - 1)
			return 1;
	}
	if (c->pipes[i].held == 0)
		give_pipe(fd, true);
	if (from->eof && c->pipes[i].held == 0 && !from->closed) {
		from->closed = true;
		if (shutdown(to->w.fd, SHUT_WR) != 0 && errno != ENOTCONN)
			return -1;
	}
	return 0;
}

static void go_on(struct conn *c)
{
	if (c->dead || !c->connected)
		return;
	int there = move(c, 0);
	int back = there < 0 ? -1 : move(c, 1);
	if (there < 0 || back < 0) {
		end(c, true);
	} else if (c->side[0].closed && c->side[1].closed) {
		end(c, false);
	} else if ((there > 0 || back > 0) && !c->queued) {
		c->queued = true;
		c->next = queue;
		queue = c;
	}
}

bool pod_tcp_turn(void)
{
	struct conn *turn = queue;
	queue = NULL;
	while (turn != NULL) {
		struct conn *c = turn;
		turn = c->next;
		c->queued = false;
		if (c->dead) {
			c->next = dead;
			dead = c;
		} else {
			go_on(c);
		}
	}
	while (dead != NULL) {
		struct conn *c = dead;
		dead = c->next;
		free(c);
	}
	return queue != NULL;
}

static void on_side(struct pod_watched *w, uint32_t events)
{
	struct side *s = (struct side *)w;
	struct conn *c = s->conn;
	if (c->dead)
		return;
	if (!c->connected && s == &c->side[1]) {
		int err = 0;
		socklen_t len = sizeof err;
		if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
			return;
		if (getsockopt(s->w.fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0) {
			end(c, true); // the client sees what a closed port looks like
			return;
		}
		c->connected = true;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		s->writable = true;
	go_on(c);
}

// begin makes a connection of a client's socket; false if it cannot be.
static bool begin(struct pod_listener *l, int client, const union pod_addr *addr)
{
	const int one = 1;
	union pod_addr from, to;
	struct conn *c = calloc(1, sizeof *c);
	int inside = c == NULL ? -1 : pod_outward(SOCK_STREAM, addr, l->port, &from, &to);
	if (inside < 0) {
		free(c);
		return false;
	}
	(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)setsockopt(inside, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	// Who went away without a word is noticed, as by the kernel's own forwarding.
	(void)setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	int fds[2] = {client, inside};
	for (int i = 0; i < 2; i++) {
		c->side[i].w = (struct pod_watched){.on = on_side, .fd = fds[i]};
		c->side[i].conn = c;
		c->pipes[i].fd[0] = c->pipes[i].fd[1] = -1;
	}
	for (int i = 0; i < 2; i++)
		if (!pod_watch_fd(&c->side[i].w, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
			close(inside);
			free(c);
			return false;
		}
	return true;
}

void pod_tcp_accept(struct pod_watched *w, uint32_t events)
{
	struct pod_listener *l = (struct pod_listener *)w;
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	(void)events;
	for (int i = 0; i < 64; i++) {
		union pod_addr addr;
		socklen_t len = sizeof addr;
		int fd = accept4(w->fd, &addr.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				l->paused = epoll_ctl(pod_epoll, EPOLL_CTL_DEL, w->fd, NULL) == 0;
			return;
		}
		if (!begin(l, fd, &addr)) {
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
			close(fd);
		}
	}
}
