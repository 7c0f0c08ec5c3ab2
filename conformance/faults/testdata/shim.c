// Loaded into a server by LD_PRELOAD: sets its wall clock, and has one write, sync or read of its
// database fail, as the numbers say in the file that HARIKUBE_FAULTS names.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// The file, shared with the test. A count of n has the n-th call from now fail, once.
struct control {
  int64_t clock; // nanoseconds that the wall clock is ahead
  int64_t write, sync, read;
};

static struct control none;
static struct control *control = &none;
static const char *database = "";

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void begin(void) {
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  real_pread = dlsym(RTLD_NEXT, "pread");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  const char *path = getenv("HARIKUBE_FAULTS");
  if (getenv("HARIKUBE_FAULTS_DATABASE")) {
    database = getenv("HARIKUBE_FAULTS_DATABASE");
  }
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) {
    return;
  }
  void *mapped = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED) {
    control = mapped;
  }
  close(fd);
}

// Whether this is the call that has to fail: one of the database or its write-ahead log.
static int fails(int64_t *count, int fd) {
  if (__atomic_load_n(count, __ATOMIC_RELAXED) <= 0 || !*database) {
    return 0;
  }
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  size_t prefix = strlen(database);
  if (length < 0 || strncmp(path, database, prefix)) {
    return 0;
  }
  path[length] = 0;
  if (path[prefix] && strcmp(path + prefix, "-wal")) {
    return 0;
  }
  return __atomic_sub_fetch(count, 1, __ATOMIC_RELAXED) == 0;
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset) {
  if (fails(&control->read, fd)) {
    errno = EIO;
    return -1;
  }
  return real_pread(fd, buffer, size, offset);
}

ssize_t pwrite(int fd, const void *buffer, size_t size, off_t offset) {
  if (fails(&control->write, fd)) {
    errno = EIO;
    return -1;
  }
  return real_pwrite(fd, buffer, size, offset);
}

ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

int fsync(int fd) {
  if (fails(&control->sync, fd)) {
    errno = EIO;
    return -1;
  }
  return real_fsync(fd);
}

int fdatasync(int fd) {
  if (fails(&control->sync, fd)) {
    errno = EIO;
    return -1;
  }
  return real_fdatasync(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = real_clock_gettime(clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    int64_t nanos = now->tv_sec * 1000000000LL + now->tv_nsec + __atomic_load_n(&control->clock, __ATOMIC_RELAXED);
    now->tv_sec = nanos / 1000000000LL;
    now->tv_nsec = nanos % 1000000000LL;
  }
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) {
    *result = now.tv_sec;
  }
  return now.tv_sec;
}
