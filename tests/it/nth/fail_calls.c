/* Preloaded into a program, lets chosen ones of its calls fail that concern the files of one folder.
 *
 * FAIL_CALLS_FOLDER  the folder, absolute and without links
 * FAIL_CALLS_LOG     where each such call is written down, outside of it
 * FAIL_CALLS         which fail: N:HOW for the N-th to which that can happen, N+:HOW for each from there on; commas between
 *
 * HOW: EIO, ENOSPC and EINTR, for which the call does nothing; `short`, a write of half of its bytes; `lie`, a write that
 * does nothing and says it did. What comes again and again is no signal for ever: N+:EINTR is every other call, so that
 * who tries again gets on.
 *
 * A line of the log: kind, what can happen to the call (comma-separated), what did (`-` for nothing), path. Kinds: open,
 * create, read, write, sync, cut, rename, unlink, folder, map, stat, list, mode, close. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "../support/preloaded.h"

#define MOST_FAULTS 8
#define MOST_SECONDS 60
/* What can happen, as bits. */
enum { NOTHING = 0, DISK = 1, FULL = 2, SIGNAL = 4, SHORT = 8, LIE = 16 };
static const struct { const char *name; int how; int error; } HOWS[] = {
    {"EIO", DISK, EIO}, {"ENOSPC", FULL, ENOSPC}, {"EINTR", SIGNAL, EINTR}, {"short", SHORT, 0}, {"lie", LIE, 0},
};
#define HOW_COUNT (sizeof HOWS / sizeof *HOWS)

struct fault { unsigned long at, met; int is_lasting, how; };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t begun = PTHREAD_ONCE_INIT;
static int log_file = -1;
static struct fault faults[MOST_FAULTS];
static size_t fault_count;

static void fail(const char *why) {
    dprintf(2, "fail_calls: %s: %s\n", why, strerror(errno));
    _exit(99);
}

static void plan(const char *text) {
    while (*text) {
        if (fault_count == MOST_FAULTS) fail("too many faults");
        struct fault *fault = &faults[fault_count++];
        char *end;
        fault->at = strtoul(text, &end, 10);
        fault->is_lasting = *end == '+';
        end += fault->is_lasting;
        if (*end++ != ':') fail("FAIL_CALLS is not understood");
        size_t length = strcspn(end, ",");
        for (size_t index = 0; index < HOW_COUNT; index++)
            if (strlen(HOWS[index].name) == length && strncmp(HOWS[index].name, end, length) == 0)
                fault->how = HOWS[index].how;
        if (!fault->how) fail("FAIL_CALLS names something that cannot happen");
        text = end + length + (end[length] == ',');
    }
}

static void begin(void) {
    const char *wanted = getenv("FAIL_CALLS_FOLDER"), *log = getenv("FAIL_CALLS_LOG"), *which = getenv("FAIL_CALLS");
    if (!wanted || !log) return;
    look_below(wanted);
    plan(which ? which : "");
    log_file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_file < 0) fail("the log cannot be opened");
    /* Who never ends is ended, by a signal nobody expects. */
    alarm(MOST_SECONDS);
}

/* Whether this is the call that the fault waits for; counts it if it might be. */
static int is_met(struct fault *fault, int possible) {
    if (!(fault->how & possible)) return 0;
    unsigned long met = ++fault->met;
    if (!fault->is_lasting) return met == fault->at;
    return met >= fault->at && (fault->how != SIGNAL || (met - fault->at) % 2 == 0);
}

/* What happens to a call of this kind. */
static int happens(const char *kind, int possible, const char *path) {
    char line[PATH_MAX + 128];
    int how = NOTHING, length = snprintf(line, sizeof line, "%s ", kind);
    pthread_mutex_lock(&turn);
    for (size_t index = 0; index < fault_count; index++)
        if (is_met(&faults[index], possible) && how == NOTHING) how = faults[index].how;
    const char *done = "-";
    for (size_t index = 0; index < HOW_COUNT; index++) {
        if (HOWS[index].how & possible) length += snprintf(line + length, sizeof line - length, "%s,", HOWS[index].name);
        if (HOWS[index].how == how) done = HOWS[index].name;
    }
    length += snprintf(line + length, sizeof line - length, " %s %s\n", done, path);
    if (syscall(SYS_write, log_file, line, length) != length) fail("the log cannot be written");
    pthread_mutex_unlock(&turn);
    return how;
}

/* Whether the call fails, with errno set. */
static int fails(int how) {
    for (size_t index = 0; index < HOW_COUNT; index++)
        if (HOWS[index].how == how && HOWS[index].error) {
            errno = HOWS[index].error;
            return 1;
        }
    return 0;
}

/* The same as `happens`, for a name; NOTHING for one that is elsewhere. */
static int happens_at(const char *kind, int possible, int at, const char *path) {
    char room[PATH_MAX * 2];
    int kept = errno;
    pthread_once(&begun, begin);
    const char *name = log_file < 0 ? NULL : below(at, path, room);
    int how = name ? happens(kind, possible, name) : NOTHING;
    errno = kept;
    return how;
}

/* The same for an open file; a folder, which can be no more than synced, counts as one. */
static int happens_to(const char *kind, int possible, int fd) {
    char link[64], path[PATH_MAX], room[PATH_MAX * 2];
    int kept = errno, how = NOTHING;
    pthread_once(&begun, begin);
    if (log_file >= 0 && fd >= 0 && fd != log_file) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length > 0 ? length : 0] = 0;
        const char *name = path[0] == '/' ? below(AT_FDCWD, path, room) : NULL;
        if (name) how = happens(kind, possible, name);
    }
    errno = kept;
    return how;
}

/* ---- names ---- */

static int opened(int at, const char *path, int flags, mode_t mode) {
    int makes = (flags & O_CREAT) && faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int how = makes ? happens_at("create", DISK | FULL | SIGNAL, at, path) : happens_at("open", DISK | SIGNAL, at, path);
    return fails(how) ? -1 : (int)syscall(SYS_openat, at, path, flags, mode);
}

int open(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags) return opened(at, path, flags, mode); }

static int moved(long call, int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    if (fails(happens_at("rename", DISK | FULL, to_at, to))) return -1;
    return (int)syscall(call, from_at, from, to_at, to, flags);
}

int rename(const char *from, const char *to) { return moved(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return moved(SYS_renameat2, a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    return moved(SYS_renameat2, a, from, b, to, flags);
}
int link(const char *from, const char *to) { return moved(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    return moved(SYS_linkat, a, from, b, to, (unsigned)flags);
}

static int removed(int at, const char *path, int flags) {
    return fails(happens_at("unlink", DISK, at, path)) ? -1 : (int)syscall(SYS_unlinkat, at, path, flags);
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

static int folder_made(int at, const char *path, mode_t mode) {
    return fails(happens_at("folder", DISK | FULL, at, path)) ? -1 : (int)syscall(SYS_mkdirat, at, path, mode);
}

int mkdir(const char *path, mode_t mode) { return folder_made(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return folder_made(at, path, mode); }

static int mode_set(int at, const char *path, mode_t mode) {
    return fails(happens_at("mode", DISK, at, path)) ? -1 : (int)syscall(SYS_fchmodat, at, path, mode);
}

int chmod(const char *path, mode_t mode) { return mode_set(AT_FDCWD, path, mode); }
int fchmodat(int at, const char *path, mode_t mode, int flags) { return (void)flags, mode_set(at, path, mode); }
int fchmod(int fd, mode_t mode) {
    return fails(happens_to("mode", DISK, fd)) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

static int looked_at(int at, const char *path, void *into, int flags) {
    return fails(happens_at("stat", DISK, at, path)) ? -1 : (int)syscall(SYS_newfstatat, at, path, into, flags);
}
static int looked_into(int fd, void *into) {
    return fails(happens_to("stat", DISK, fd)) ? -1 : (int)syscall(SYS_fstat, fd, into);
}

int stat(const char *path, struct stat *into) { return looked_at(AT_FDCWD, path, into, 0); }
int stat64(const char *path, struct stat64 *into) { return looked_at(AT_FDCWD, path, into, 0); }
int lstat(const char *path, struct stat *into) { return looked_at(AT_FDCWD, path, into, AT_SYMLINK_NOFOLLOW); }
int lstat64(const char *path, struct stat64 *into) { return looked_at(AT_FDCWD, path, into, AT_SYMLINK_NOFOLLOW); }
int fstat(int fd, struct stat *into) { return looked_into(fd, into); }
int fstat64(int fd, struct stat64 *into) { return looked_into(fd, into); }
/* Without a path, which a compiler takes for impossible, it is a question whether there is such a call. */
int statx(int at, const char *path, int flags, unsigned mask, struct statx *into) {
    const char *volatile given = path;
    int how = !given ? NOTHING : *given ? happens_at("stat", DISK, at, given) : happens_to("stat", DISK, at);
    return fails(how) ? -1 : (int)syscall(SYS_statx, at, path, flags, mask, into);
}

DIR *opendir(const char *path) {
    if (fails(happens_at("open", DISK, AT_FDCWD, path))) return NULL;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? NULL : fdopendir(fd);
}

struct dirent64 *readdir64(DIR *listed) {
    static struct dirent64 *(*real)(DIR *);
    if (!real) real = dlsym(RTLD_NEXT, "readdir64");
    return fails(happens_to("list", DISK, dirfd(listed))) ? NULL : real(listed);
}

/* ---- bytes ---- */

/* Whatever is said of it, what was closed is closed. */
int close(int fd) {
    int how = happens_to("close", DISK | SIGNAL, fd), closed = (int)syscall(SYS_close, fd);
    return fails(how) ? -1 : closed;
}

static ssize_t is_read(int fd, long call, void *bytes, size_t length, off_t offset) {
    return fails(happens_to("read", DISK | SIGNAL, fd)) ? -1 : syscall(call, fd, bytes, length, offset);
}

ssize_t read(int fd, void *bytes, size_t length) { return is_read(fd, SYS_read, bytes, length, 0); }
ssize_t pread(int fd, void *bytes, size_t length, off_t offset) { return is_read(fd, SYS_pread64, bytes, length, offset); }
ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset) { return pread(fd, bytes, length, offset); }

static ssize_t is_written(int fd, long call, const void *bytes, size_t length, off_t offset) {
    int how = happens_to("write", DISK | FULL | SIGNAL | (length > 1 ? SHORT : 0) | LIE, fd);
    if (fails(how)) return -1;
    if (how == LIE) return (ssize_t)length;
    return syscall(call, fd, bytes, how == SHORT ? length / 2 : length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) { return is_written(fd, SYS_write, bytes, length, 0); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return is_written(fd, SYS_pwrite64, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) { return pwrite(fd, bytes, length, offset); }

/* Of several parts a short write takes the first; who has but one is cut as any other. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (count == 1) return write(fd, parts[0].iov_base, parts[0].iov_len);
    int how = happens_to("write", DISK | FULL | SIGNAL | SHORT, fd);
    return fails(how) ? -1 : syscall(SYS_writev, fd, parts, how == SHORT ? 1 : count);
}

int ftruncate(int fd, off_t size) {
    return fails(happens_to("cut", DISK | FULL | SIGNAL, fd)) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* Nothing here outlives the power, so what is synced is not synced, only asked. */
static int synced(int fd) { return fails(happens_to("sync", DISK | FULL | SIGNAL, fd)) ? -1 : 0; }

int fsync(int fd) { return synced(fd); }
int fdatasync(int fd) { return synced(fd); }
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    (void)offset, (void)length, (void)flags;
    return synced(fd);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && (flags & MAP_SHARED) && fails(happens_to("map", DISK, fd))) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mmap(address, length, protection, flags, fd, offset);
}
