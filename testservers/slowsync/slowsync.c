// A library to preload: no fsync or fdatasync returns before TANDEM_SLOW_SYNC microseconds have passed. PostgreSQL sees
// a disk that syncs that slowly; who waits, and which locks are held meanwhile, is PostgreSQL's own doing.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int slowly(const char *name, int fd) {
	const char *least = getenv("TANDEM_SLOW_SYNC");
	long long due = now() + (least ? atoll(least) : 0) * 1000;
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	int result = real(fd);
	long long left = due - now();
	if (left > 0) {
		struct timespec t = {left / 1000000000LL, left % 1000000000LL};
		nanosleep(&t, NULL);
	}
	return result;
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
