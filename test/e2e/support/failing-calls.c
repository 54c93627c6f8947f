/*
 * Stands between a process and its C library (LD_PRELOAD) and lets calls fail that have to do with the
 * files of one folder: the nth of a kind since it was asked for, or all from there on. Counts over all
 * threads. What shall fail is in a file that this process shares with whoever runs the test.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The order is that of FAILING_KINDS in failing-calls.ts. */
enum kind { NONE, WRITE, READ, OPEN, SYNC, RENAME, UNLINK, MKDIR, TRUNCATE };

struct control {
  uint32_t kind;
  /* The first and the last call that fails, counted from 1; none when 0. */
  uint32_t first;
  uint32_t last;
  /* 0: it moves fewer bytes than it was asked to, instead of failing. */
  int32_t error;
  uint32_t count;
  uint32_t failed;
  /* What the path has to have in it; empty for all. */
  char part[64];
};

static struct control *control;
static const char *folder;

__attribute__((constructor)) static void set_up(void) {
  const char *file = getenv("FAILING_CALLS_CONTROL");
  folder = getenv("FAILING_CALLS_FOLDER");
  if (!file || !folder) return;
  int fd = open(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) abort();
  close(fd);
  control = shared;
}

/*
 * Whether this very call is to fail; sets errno then. A relative path is never one of ours: the data
 * directory is given as an absolute one.
 */
static int fails(enum kind kind, const char *path) {
  if (!control || control->kind != (uint32_t)kind || !path) return 0;
  if (strncmp(path, folder, strlen(folder)) != 0) return 0;
  if (!strstr(path + strlen(folder), control->part)) return 0;
  uint32_t count = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
  if (!control->first || count < control->first || count > control->last) return 0;
  __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
  errno = control->error;
  return 1;
}

static int fails_fd(enum kind kind, int fd) {
  if (!control || control->kind != (uint32_t)kind) return 0;
  char link[32], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return fails(kind, path);
}

static int is_short(void) { return control->error == 0; }

#define NEXT(name)                                     \
  static __typeof__(&name) next;                       \
  if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Half of it, but one byte at least: nothing would be taken for the end. */
static size_t half(size_t bytes) { return bytes > 1 ? bytes / 2 : bytes; }

#define MOVE(kind, name, arguments, call, short_call)  \
  ssize_t name arguments {                             \
    NEXT(name);                                        \
    if (!fails_fd(kind, fd)) return next call;         \
    return is_short() ? next short_call : -1;          \
  }

MOVE(WRITE, write, (int fd, const void *bytes, size_t size), (fd, bytes, size), (fd, bytes, half(size)))
MOVE(WRITE, pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at),
     (fd, bytes, half(size), at))
MOVE(WRITE, pwrite64, (int fd, const void *bytes, size_t size, off64_t at), (fd, bytes, size, at),
     (fd, bytes, half(size), at))
MOVE(READ, read, (int fd, void *bytes, size_t size), (fd, bytes, size), (fd, bytes, half(size)))
MOVE(READ, pread, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at),
     (fd, bytes, half(size), at))
MOVE(READ, pread64, (int fd, void *bytes, size_t size, off64_t at), (fd, bytes, size, at),
     (fd, bytes, half(size), at))
/* The first piece alone is fewer bytes, too. */
MOVE(WRITE, writev, (int fd, const struct iovec *pieces, int count), (fd, pieces, count), (fd, pieces, 1))
MOVE(WRITE, pwritev, (int fd, const struct iovec *pieces, int count, off_t at), (fd, pieces, count, at),
     (fd, pieces, 1, at))
MOVE(WRITE, pwritev64, (int fd, const struct iovec *pieces, int count, off64_t at),
     (fd, pieces, count, at), (fd, pieces, 1, at))

#define FAIL_FD(kind, name, arguments, call)           \
  int name arguments {                                 \
    NEXT(name);                                        \
    return fails_fd(kind, fd) ? -1 : next call;        \
  }

FAIL_FD(SYNC, fsync, (int fd), (fd))
FAIL_FD(SYNC, fdatasync, (int fd), (fd))
FAIL_FD(TRUNCATE, ftruncate, (int fd, off_t size), (fd, size))
FAIL_FD(TRUNCATE, ftruncate64, (int fd, off64_t size), (fd, size))

#define FAIL_PATH(kind, name, arguments, call)         \
  int name arguments {                                 \
    NEXT(name);                                        \
    return fails(kind, path) ? -1 : next call;    \
  }

FAIL_PATH(RENAME, rename, (const char *path, const char *to), (path, to))
FAIL_PATH(UNLINK, unlink, (const char *path), (path))
FAIL_PATH(UNLINK, unlinkat, (int at, const char *path, int flags), (at, path, flags))
FAIL_PATH(MKDIR, mkdir, (const char *path, mode_t mode), (path, mode))
FAIL_PATH(MKDIR, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))

/* There is always room for what makes nothing. */
static int fails_open(const char *path, int flags) {
  if (control && control->error == ENOSPC && !(flags & O_CREAT)) return 0;
  return fails(OPEN, path);
}

#define MODE_OF_VARIABLE_ARGUMENTS                     \
  va_list rest;                                        \
  va_start(rest, flags);                               \
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
  va_end(rest)

#define OPEN_CALL(name)                                \
  int name(const char *path, int flags, ...) {         \
    MODE_OF_VARIABLE_ARGUMENTS;                        \
    NEXT(name);                                        \
    return fails_open(path, flags) ? -1 : next(path, flags, mode); \
  }

#define OPENAT_CALL(name)                              \
  int name(int at, const char *path, int flags, ...) { \
    MODE_OF_VARIABLE_ARGUMENTS;                        \
    NEXT(name);                                        \
    return fails_open(path, flags) ? -1 : next(at, path, flags, mode); \
  }

OPEN_CALL(open)
OPEN_CALL(open64)
OPENAT_CALL(openat)
OPENAT_CALL(openat64)
