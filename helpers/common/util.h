/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ownership of descriptors and memory, and the few macros that everything here uses. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _noreturn_ __attribute__((noreturn))
#define _unused_ __attribute__((unused))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static inline void freep(void *p) {
        free(*(void **) p);
}

/* Closes without touching errno; returns -EBADF so that `fd = close_fd(fd)` reads well. */
static inline int close_fd(int fd) {
        if (fd >= 0) {
                int saved = errno;

                (void) close(fd);
                errno = saved;
        }
        return -EBADF;
}

static inline void closep(int *fd) {
        *fd = close_fd(*fd);
}

static inline int take_fd(int *fd) {
        int r = *fd;

        *fd = -EBADF;
        return r;
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
#define TAKE_FD(fd) take_fd(&(fd))
#define TAKE_PTR(p)                                                                                                    \
        ({                                                                                                             \
                typeof(p) _taken = (p);                                                                                \
                (p) = NULL;                                                                                            \
                _taken;                                                                                                \
        })

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}
