/* Preloaded into a program, writes down in one order what it does to the files of one folder, what it prints and what
 * it sends. Syncs are written down and not done: nothing here outlives the power but what the log says does.
 *
 * RECORD_WRITES_FOLDER  the folder, absolute and without links
 * RECORD_WRITES_LOG     the log, outside of it
 * RECORD_WRITES_UNSYNCED=1  syncs are not even written down, as if the program never asked for one
 *
 * An event: kind (1 byte), two numbers (8 bytes each), length (4 bytes), that many bytes; native byte order. Kinds:
 *   H  begin                          C  file created: inode; path        O  file opened: inode; path
 *   W  written: inode, offset; bytes  T  cut or grown: inode, size        S  synced: inode
 *   R  range synced: inode            D  folder synced: path              M  renamed: old NUL new
 *   L  linked: old NUL new            U  unlinked: path                   K  folder made: path
 *   X  folder removed: path           P  printed: bytes                   N  sent: descriptor; bytes
 *   !  changed in a way this file does not follow: what
 * Paths are relative to the folder.
 *
 * Every call is made by system call, one at a time for what is watched, so that the log's order is what happened.
 * SQLite's -shm file is mapped memory, rebuilt after a crash, and left out. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../support/preloaded.h"

#define MOST_FILES 65536
#define MOST_PARTS 64

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t begun = PTHREAD_ONCE_INIT;
static int log_file = -1;
static int unsynced;
static ino_t watched[MOST_FILES];
static size_t watched_count;

static void fail(const char *why) {
    dprintf(2, "record_writes: %s: %s\n", why, strerror(errno));
    _exit(99);
}

static void note_parts(char kind, uint64_t first, uint64_t second, const struct iovec *parts, int count, size_t length) {
    char head[21];
    uint32_t short_length = (uint32_t)length;
    head[0] = kind;
    memcpy(head + 1, &first, 8);
    memcpy(head + 9, &second, 8);
    memcpy(head + 17, &short_length, 4);
    struct iovec all[MOST_PARTS + 1] = {{head, sizeof head}};
    int used = 1;
    for (size_t left = length; count > 0 && left > 0; parts++, count--) {
        if (used > MOST_PARTS) fail("too many parts in one write");
        all[used].iov_base = parts->iov_base;
        all[used].iov_len = parts->iov_len < left ? parts->iov_len : left;
        left -= all[used++].iov_len;
    }
    ssize_t written = syscall(SYS_writev, log_file, all, used);
    if (written != (ssize_t)(sizeof head + length)) fail("the log cannot be written");
}

static void note(char kind, uint64_t first, uint64_t second, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    note_parts(kind, first, second, &part, 1, length);
}

static void note_path(char kind, uint64_t first, const char *path) { note(kind, first, 0, path, strlen(path)); }

static void begin(void) {
    const char *wanted = getenv("RECORD_WRITES_FOLDER"), *log = getenv("RECORD_WRITES_LOG");
    if (!wanted || !log) return;
    look_below(wanted);
    const char *no = getenv("RECORD_WRITES_UNSYNCED");
    unsynced = no && *no == '1';
    log_file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_file < 0) fail("the log cannot be opened");
    note('H', 0, 0, "", 0);
}

/* Waits for its turn; whether there is anything to write down at all. Failed calls keep their errno. */
static int take_turn(void) {
    pthread_once(&begun, begin);
    if (log_file < 0) return 0;
    pthread_mutex_lock(&turn);
    return 1;
}

static void end_turn(int taken) {
    int kept = errno;
    if (taken) pthread_mutex_unlock(&turn);
    errno = kept;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static int is_watched(ino_t inode) {
    for (size_t index = 0; index < watched_count; index++)
        if (watched[index] == inode) return 1;
    return 0;
}

/* The inode of a watched file; 0 for everything else. */
static ino_t file_at(int fd) {
    struct stat stat;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) return 0;
    return is_watched(stat.st_ino) ? stat.st_ino : 0;
}

static int is_socket(int fd) {
    struct stat stat;
    return fstat(fd, &stat) == 0 && S_ISSOCK(stat.st_mode);
}

/* ---- names ---- */

static int opened(int at, const char *path, int flags, mode_t mode) {
    char room[PATH_MAX * 2];
    int taken = take_turn();
    const char *name = taken ? below(at, path, room) : NULL;
    int is_new = name && (flags & O_CREAT) && faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    struct stat stat;
    if (fd >= 0 && name && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && !ends_with(name, "-shm")) {
        if (!is_watched(stat.st_ino)) {
            if (watched_count == MOST_FILES) fail("too many files");
            watched[watched_count++] = stat.st_ino;
        }
        note_path(is_new ? 'C' : 'O', stat.st_ino, name);
        if ((flags & O_TRUNC) && !is_new) note('T', stat.st_ino, 0, "", 0);
    }
    end_turn(taken);
    return fd;
}

int open(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags) return opened(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static int moved(char kind, long call, int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char from_room[PATH_MAX * 2], to_room[PATH_MAX * 2], both[PATH_MAX * 4];
    int taken = take_turn();
    const char *old = taken ? below(from_at, from, from_room) : NULL, *new = taken ? below(to_at, to, to_room) : NULL;
    int result = (int)syscall(call, from_at, from, to_at, to, flags);
    if (result == 0 && old && new && flags == 0) {
        size_t length = (size_t)snprintf(both, sizeof both, "%s", old) + 1;
        length += (size_t)snprintf(both + length, sizeof both - length, "%s", new);
        note(kind, 0, 0, both, length);
    } else if (result == 0 && (old || new)) {
        note_path('!', 0, "a name across the folder's border, or exchanged");
    }
    end_turn(taken);
    return result;
}

int rename(const char *from, const char *to) { return moved('M', SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return moved('M', SYS_renameat2, a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    return moved('M', SYS_renameat2, a, from, b, to, flags);
}
int link(const char *from, const char *to) { return moved('L', SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    return moved('L', SYS_linkat, a, from, b, to, (unsigned)flags);
}

static int removed(int at, const char *path, int flags) {
    char room[PATH_MAX * 2];
    int taken = take_turn();
    const char *name = taken ? below(at, path, room) : NULL;
    int result = (int)syscall(SYS_unlinkat, at, path, flags);
    if (result == 0 && name && !ends_with(name, "-shm")) note_path(flags & AT_REMOVEDIR ? 'X' : 'U', 0, name);
    end_turn(taken);
    return result;
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

static int folder_made(int at, const char *path, mode_t mode) {
    char room[PATH_MAX * 2];
    int taken = take_turn();
    const char *name = taken ? below(at, path, room) : NULL;
    int result = (int)syscall(SYS_mkdirat, at, path, mode);
    if (result == 0 && name) note_path('K', 0, name);
    end_turn(taken);
    return result;
}

int mkdir(const char *path, mode_t mode) { return folder_made(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return folder_made(at, path, mode); }

/* ---- bytes ---- */

/* What became of `count` parts handed to `fd`; `offset` is -1 where the file's own position was used. */
static void note_written(int fd, const struct iovec *parts, int count, off_t offset, ssize_t written) {
    if (written <= 0) return;
    ino_t inode;
    if (fd == 1) {
        note_parts('P', 0, 0, parts, count, (size_t)written);
    } else if ((inode = file_at(fd)) != 0) {
        if (offset < 0) offset = lseek(fd, 0, SEEK_CUR) - written;
        note_parts('W', inode, (uint64_t)offset, parts, count, (size_t)written);
    } else if (is_socket(fd)) {
        note_parts('N', (uint64_t)fd, 0, parts, count, (size_t)written);
    }
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    int taken = take_turn();
    ssize_t written = syscall(SYS_write, fd, bytes, length);
    if (taken) note_written(fd, &part, 1, -1, written);
    end_turn(taken);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    int taken = take_turn();
    ssize_t written = syscall(SYS_writev, fd, parts, count);
    if (taken) note_written(fd, parts, count, -1, written);
    end_turn(taken);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    struct iovec part = {(void *)bytes, length};
    int taken = take_turn();
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (taken) note_written(fd, &part, 1, offset, written);
    end_turn(taken);
    return written;
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) { return pwrite(fd, bytes, length, offset); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    int taken = take_turn();
    ssize_t written = syscall(SYS_pwritev, fd, parts, count, offset, 0);
    if (taken) note_written(fd, parts, count, offset, written);
    end_turn(taken);
    return written;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return pwritev(fd, parts, count, offset);
}

/* The sender waits inside its turn for nobody: the program's sockets do not block. */
ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t to_length) {
    struct iovec part = {(void *)bytes, length};
    int taken = take_turn();
    ssize_t sent = syscall(SYS_sendto, fd, bytes, length, flags, to, to_length);
    if (taken) note_written(fd, &part, 1, -1, sent);
    end_turn(taken);
    return sent;
}
ssize_t send(int fd, const void *bytes, size_t length, int flags) { return sendto(fd, bytes, length, flags, NULL, 0); }

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    int taken = take_turn();
    ssize_t sent = syscall(SYS_sendmsg, fd, message, flags);
    if (taken) note_written(fd, message->msg_iov, (int)message->msg_iovlen, -1, sent);
    end_turn(taken);
    return sent;
}

int ftruncate(int fd, off_t size) {
    int taken = take_turn();
    int result = (int)syscall(SYS_ftruncate, fd, size);
    ino_t inode = taken && result == 0 ? file_at(fd) : 0;
    if (inode) note('T', inode, (uint64_t)size, "", 0);
    end_turn(taken);
    return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* ---- syncs ---- */

static int synced(int fd, char kind) {
    int taken = take_turn();
    struct stat stat;
    int result = fstat(fd, &stat);
    if (taken && result == 0 && !unsynced) {
        char link[64], path[PATH_MAX], room[PATH_MAX * 2];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = S_ISDIR(stat.st_mode) ? readlink(link, path, sizeof path - 1) : -1;
        if (length > 0) {
            path[length] = 0;
            const char *name = below(AT_FDCWD, path, room);
            if (name) note_path('D', 0, name);
        } else if (is_watched(stat.st_ino)) {
            note(kind, stat.st_ino, 0, "", 0);
        }
    }
    end_turn(taken);
    return result;
}

int fsync(int fd) { return synced(fd, 'S'); }
int fdatasync(int fd) { return synced(fd, 'S'); }
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    (void)offset, (void)length, (void)flags;
    return synced(fd, 'R');
}

/* ---- what is not followed ---- */

static void note_unseen(int fd, const char *what) {
    int taken = take_turn();
    if (taken && file_at(fd)) note_path('!', 0, what);
    end_turn(taken);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    note_unseen(fd, "fallocate");
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
    note_unseen(out, "copy_file_range");
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}
ssize_t sendfile(int out, int in, off_t *at, size_t length) {
    note_unseen(out, "sendfile");
    return syscall(SYS_sendfile, out, in, at, length);
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t length) { return sendfile(out, in, at, length); }

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) note_unseen(fd, "mmap");
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mmap(address, length, protection, flags, fd, offset);
}
