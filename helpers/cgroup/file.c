/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The only places where berth-cgroup opens, reads and writes. */

#include "file.h"

#include "util.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define TEXT_MAX 4096

static int open_below(int folder, const char *name, uint64_t flags) {
        const struct open_how how = {
                .flags = flags | O_CLOEXEC | O_NOFOLLOW,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        int fd;

        fd = (int) syscall(SYS_openat2, folder, name, &how, sizeof(how));
        return fd < 0 ? -errno : fd;
}

int folder_open(int parent, const char *name) {
        return open_below(parent, name, O_RDONLY | O_DIRECTORY);
}

int folder_open_parent(int folder) {
        const struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        int fd;

        fd = (int) syscall(SYS_openat2, folder, "..", &how, sizeof(how));
        return fd < 0 ? -errno : fd;
}

static int text_of(int fd, char *ret, size_t size) {
        ssize_t n;

        n = pread(fd, ret, size, 0);
        if (n < 0)
                return -errno;
        if ((size_t) n == size)
                return -EFBIG;
        if (n > 0 && ret[n - 1] == '\n')
                n--;
        ret[n] = '\0';
        return 0;
}

int file_read(int folder, const char *name, char *ret, size_t size) {
        _cleanup_close_ int fd = -EBADF;

        fd = open_below(folder, name, O_RDONLY);
        return fd < 0 ? fd : text_of(fd, ret, size);
}

int file_write(int folder, const char *name, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = open_below(folder, name, O_WRONLY);
        if (fd < 0)
                return fd;
        n = write(fd, text, strlen(text));
        if (n < 0)
                return -errno;
        return (size_t) n == strlen(text) ? 0 : -EIO;
}

static bool has_piece(const char *text, const char *piece, const char *separators) {
        size_t n = strlen(piece);

        for (const char *p = text; *p; p += strspn(p, separators)) {
                size_t length = strcspn(p, separators);

                if (length == n && memcmp(p, piece, n) == 0)
                        return true;
                p += length;
        }
        return false;
}

bool text_has_word(const char *text, const char *word) {
        return has_piece(text, word, " \n");
}

bool text_has_line(const char *text, const char *line) {
        return has_piece(text, line, "\n");
}

int file_give(int folder, const char *name, uid_t uid, gid_t gid, bool group_writes) {
        _cleanup_close_ int fd = -EBADF;

        fd = open_below(folder, name, O_RDONLY);
        if (fd < 0)
                return fd;
        if (group_writes && fchmod(fd, 0664) < 0) /* before it is another's: we have no FOWNER */
                return -errno;
        return fchown(fd, uid, gid) < 0 ? -errno : 0;
}

static int64_t now_milliseconds(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int events_wait(int folder, const char *line, int milliseconds) {
        int64_t end = now_milliseconds() + milliseconds;
        _cleanup_close_ int fd = -EBADF;
        char text[TEXT_MAX];
        int r;

        fd = open_below(folder, "cgroup.events", O_RDONLY);
        if (fd < 0)
                return fd;
        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLPRI };
                int64_t left;

                r = text_of(fd, text, sizeof(text));
                if (r < 0)
                        return r;
                if (text_has_line(text, line))
                        return 0;
                left = end - now_milliseconds();
                if (left <= 0)
                        return -ETIMEDOUT;
                if (poll(&p, 1, (int) left) < 0 && errno != EINTR)
                        return -errno;
        }
}
