/* What preloaded libraries have in common: one folder, and whether a path lies below it. */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t folder_length;

static void look_below(const char *path) {
    snprintf(folder, sizeof folder, "%s", path);
    folder_length = strlen(folder);
}

/* The part of the path below the folder; NULL where it is elsewhere. `room` holds PATH_MAX * 2. */
static const char *below(int at, const char *path, char *room) {
    room[0] = 0;
    if (path[0] != '/') {
        char link[64];
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, room, PATH_MAX - 1);
        if (length < 0) return NULL;
        room[length] = 0;
        strcat(room, "/");
    }
    strncat(room, path, PATH_MAX - 1);
    size_t length = strlen(room);
    while (length > 1 && room[length - 1] == '/') room[--length] = 0;
    if (strncmp(room, folder, folder_length) != 0) return NULL;
    if (room[folder_length] == 0) return room + folder_length;
    return room[folder_length] == '/' ? room + folder_length + 1 : NULL;
}

/* The mode of a call that opens, which is there only where it may make a file. */
#define MODE_OF(flags)                                  \
    mode_t mode = 0;                                    \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {            \
        va_list more;                                   \
        va_start(more, flags);                          \
        mode = va_arg(more, mode_t);                    \
        va_end(more);                                   \
    }
