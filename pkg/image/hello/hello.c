//go:build ignore

/*
 * hello: the program of pod's embedded image. It prints what isolates it.
 * Called pause it is the first process of a pod: it holds the namespaces, reaps
 * what is left to it, and ends on SIGTERM or SIGINT.
 *
 * It is linked without a C library, so the image is a few kilobytes and needs
 * nothing but the kernel. build.sh (or make) builds it:
 *
 *   cc -std=c11 -Os -Wall -Wextra -static -nostdlib -ffreestanding -fno-stack-protector \
 *      -fno-asynchronous-unwind-tables -fno-pie -no-pie -Wl,--build-id=none \
 *      -Wl,-z,noexecstack -s -o hello.bin hello.c
 */

typedef long word;
typedef unsigned long size;

#if defined(__x86_64__)
enum { SYS_READ = 0, SYS_WRITE = 1, SYS_OPENAT = 257, SYS_CLOSE = 3, SYS_EXIT = 231, SYS_GETUID = 102, SYS_GETPID = 39, SYS_UNAME = 63,
       SYS_SIGMASK = 14, SYS_SIGWAIT = 128, SYS_WAIT = 61 };

static word call(word n, word a, word b, word c, word d)
{
	word result;
	register word r10 __asm__("r10") = d;
	__asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n\thlt\n");
#elif defined(__aarch64__)
enum { SYS_READ = 63, SYS_WRITE = 64, SYS_OPENAT = 56, SYS_CLOSE = 57, SYS_EXIT = 94, SYS_GETUID = 174, SYS_GETPID = 172, SYS_UNAME = 160,
       SYS_SIGMASK = 135, SYS_SIGWAIT = 137, SYS_WAIT = 260 };

static word call(word n, word a, word b, word c, word d)
{
	register word x8 __asm__("x8") = n;
	register word x0 __asm__("x0") = a;
	register word x1 __asm__("x1") = b;
	register word x2 __asm__("x2") = c;
	register word x3 __asm__("x3") = d;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tbl run\n");
#else
#error "hello is written for x86_64 and aarch64"
#endif

/* The compiler may call these two. */
void *memset(void *to, int byte, size n)
{
	for (volatile char *p = to; n > 0; n--)
		*p++ = (char)byte;
	return to;
}

void *memcpy(void *to, const void *from, size n)
{
	const char *q = from;
	for (volatile char *p = to; n > 0; n--)
		*p++ = *q++;
	return to;
}

static char out[4096];
static size used;

static void flush(void)
{
	for (size done = 0; done < used;) {
		word n = call(SYS_WRITE, 1, (word)(out + done), (word)(used - done), 0);
		if (n <= 0)
			break;
		done += (size)n;
	}
	used = 0;
}

static void bytes(const char *s, size n)
{
	for (size i = 0; i < n; i++) {
		if (used == sizeof out)
			flush();
		out[used++] = s[i];
	}
}

static size length(const char *s)
{
	size n = 0;
	while (s[n] != 0)
		n++;
	return n;
}

static void text(const char *s) { bytes(s, length(s)); }

static void number(size n)
{
	char digits[24];
	size i = sizeof digits;
	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	bytes(digits + i, sizeof digits - i);
}

static void label(const char *name)
{
	text("  ");
	text(name);
	for (size n = length(name); n < 10; n++)
		text(" ");
}

static char file[65536];

/* slurp reads a file of /proc, as much of it as fits. */
static size slurp(const char *path)
{
	size n = 0;
	word fd = call(SYS_OPENAT, -100, (word)path, 02000000, 0);
	if (fd >= 0) {
		while (n < sizeof file - 1) {
			word got = call(SYS_READ, fd, (word)(file + n), (word)(sizeof file - 1 - n), 0);
			if (got <= 0)
				break;
			n += (size)got;
		}
		call(SYS_CLOSE, fd, 0, 0, 0);
	}
	file[n] = 0;
	return n;
}

static int starts(const char *s, const char *with)
{
	while (*with != 0)
		if (*s++ != *with++)
			return 0;
	return 1;
}

static const char *next_line(const char *s)
{
	while (*s != 0 && *s != '\n')
		s++;
	return *s == 0 ? s : s + 1;
}

static const char *skip(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

static size scan(const char **s)
{
	size n = 0;
	*s = skip(*s);
	while (**s >= '0' && **s <= '9')
		n = n * 10 + (size)(*(*s)++ - '0');
	return n;
}

/* value finds "NAME:" in /proc/self/status. */
static const char *value(const char *name)
{
	for (const char *s = file; *s != 0; s = next_line(s))
		if (starts(s, name))
			return skip(s + length(name));
	return "";
}

static void user(void)
{
	size uid = (size)call(SYS_GETUID, 0, 0, 0, 0), outside = uid, ids = 0;
	slurp("/proc/self/uid_map");
	for (const char *s = file; *s != 0; s = next_line(s)) {
		size inside = scan(&s), host = scan(&s), count = scan(&s);
		if (uid >= inside && uid - inside < count)
			outside = host + (uid - inside);
		ids += count;
	}
	label("user");
	text("uid ");
	number(uid);
	if (ids == 4294967295UL) {
		text(", in the user namespace of the host");
	} else {
		text(" in here, uid ");
		number(outside);
		text(" one level up; ");
		number(ids);
		text(ids == 1 ? " id mapped" : " ids mapped");
	}
	text("\n");
}

static void process(void)
{
	label("process");
	text("pid ");
	number((size)call(SYS_GETPID, 0, 0, 0, 0));
	text("\n");
}

static void host(void)
{
	/* struct utsname: six fields of 65 bytes; the second is the host name. */
	static char names[6 * 65];
	label("hostname");
	text(call(SYS_UNAME, (word)names, 0, 0, 0) == 0 ? names + 65 : "unknown");
	text("\n");
}

static void mounts(void)
{
	const char *kind = "unknown";
	size count = 0, n = 7;
	slurp("/proc/self/mountinfo");
	for (const char *s = file; *s != 0; s = next_line(s)) {
		const char *p = s;
		int field = 0;
		count++;
		while (*p != 0 && *p != '\n' && field < 4)
			if (*p++ == ' ')
				field++;
		if (!starts(p, "/ "))
			continue;
		while (*p != 0 && *p != '\n' && !starts(p, " - "))
			p++;
		if (!starts(p, " - "))
			continue;
		kind = p + 3;
		for (n = 0; kind[n] != ' ' && kind[n] != 0; n++)
			;
	}
	label("root");
	bytes(kind, n);
	text(", one of ");
	number(count);
	text(" mounts\n");
}

static void network(void)
{
	size count = 0;
	label("network");
	slurp("/proc/self/net/dev");
	const char *s = next_line(file);
	for (s = next_line(s); *s != 0; s = next_line(s)) {
		const char *name = skip(s);
		size n = 0;
		while (name[n] != ':' && name[n] != 0)
			n++;
		if (count++ > 0)
			text(", ");
		bytes(name, n);
	}
	text(count == 0 ? "no interfaces\n" : "\n");
}

static void rights(void)
{
	size count = 0;
	slurp("/proc/self/status");
	for (const char *s = value("CapEff:"); *s != 0 && *s != '\n'; s++) {
		int digit = *s <= '9' ? *s - '0' : *s - 'a' + 10;
		for (; digit > 0; digit >>= 1)
			count += (size)(digit & 1);
	}
	label("rights");
	number(count);
	text(count == 1 ? " capability" : " capabilities");
	text(*value("Seccomp:") == '2' ? ", system calls filtered" : ", system calls not filtered");
	text(*value("NoNewPrivs:") == '1' ? ", no new privileges\n" : "\n");
}

static void cgroup(void)
{
	size n = 0;
	label("cgroup");
	slurp("/proc/self/cgroup");
	const char *s = file;
	while (*s != 0 && !starts(s, "0::"))
		s = next_line(s);
	if (starts(s, "0::")) {
		s += 3;
		while (s[n] != '\n' && s[n] != 0)
			n++;
		bytes(s, n);
	} else {
		text("none");
	}
	text("\n");
}

/* pause takes the signals it waits for instead of handling them: blocked ones reach
 * the first process of a pid namespace too, which the kernel spares all others. */
__attribute__((noreturn)) static void pause(void)
{
	enum { SIGINT = 2, SIGTERM = 15, SIGCHLD = 17, SIG_BLOCK = 0, WNOHANG = 1 };
	unsigned long set = 1UL << (SIGINT - 1) | 1UL << (SIGTERM - 1) | 1UL << (SIGCHLD - 1);
	call(SYS_SIGMASK, SIG_BLOCK, (word)&set, 0, sizeof set);
	for (;;) {
		word sig = call(SYS_SIGWAIT, (word)&set, 0, 0, sizeof set);
		if (sig == SIGINT || sig == SIGTERM)
			call(SYS_EXIT, 0, 0, 0, 0);
		while (call(SYS_WAIT, -1, 0, WNOHANG, 0) > 0)
			;
	}
}

static int ends(const char *s, const char *with)
{
	size n = length(s), m = length(with);
	return n >= m && starts(s + n - m, with);
}

/* run gets the stack as the kernel made it: the number of arguments, then they. */
__attribute__((noreturn, used)) void run(const word *stack)
{
	if (stack[0] > 0 && ends((const char *)stack[1], "/pause"))
		pause();
	text("Hello from pod: this process runs in a container.\n\n");
	user();
	process();
	host();
	mounts();
	network();
	cgroup();
	rights();
	text("\nTry `pod run -it docker.io/library/debian bash` next.\n");
	flush();
	for (;;)
		call(SYS_EXIT, 0, 0, 0, 0);
}
