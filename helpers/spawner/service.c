/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows made ready at the spawner's start, as root: users out of /etc/passwd, programs as descriptors, limits as far as this
 * root may raise them. Believes root's files and the table. */

#include "service.h"

#include "mutation.h"
#include "users.h"
#include "util.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

void log_line(const char *format, ...) {
        char text[512], line[544];
        va_list ap;
        int n;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        n = snprintf(line, sizeof(line), "berth-spawner: %s\n", text);
        (void) !write(STDERR_FILENO, line, (size_t) n); /* one line, one write: others log there too */
}

/* A program that somebody else than root could write would be root's program in their hands. */
static int program_open(const char *path, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
                return -ENOEXEC;
        if (!MUTATION(spawner_program) &&
            (st.st_uid != 0 || (st.st_mode & 022) != 0 || (st.st_mode & (S_ISUID | S_ISGID)) != 0))
                return -EPERM;

        *ret = TAKE_FD(fd);
        return 0;
}

/* Raises the limit as far as it goes; says so once, here, rather than at every start. */
static Limit limit_probe(const Row *row, const Limit *wanted) {
        __rlimit_resource_t resource = (__rlimit_resource_t) wanted->resource;
        struct rlimit own, try = { .rlim_max = wanted->hard };
        Limit limit = *wanted;

        if (getrlimit(resource, &own) < 0) {
                log_line("%s: getrlimit: %m, ignoring", row->name);
                return limit;
        }
        try.rlim_cur = MIN(own.rlim_cur, wanted->hard);
        if (wanted->hard <= own.rlim_max || setrlimit(resource, &try) >= 0) {
                (void) setrlimit(resource, &own);
                return limit;
        }

        log_line("%s: limit %d cannot be raised to %llu, it stays at %llu", row->name, wanted->resource,
                 (unsigned long long) wanted->hard, (unsigned long long) own.rlim_max);
        limit.hard = own.rlim_max;
        limit.soft = MIN(limit.soft, limit.hard);
        return limit;
}

static int prepare(const Row *row, uint64_t capabilities, Service *s) {
        int r;

        *s = (Service) { .row = row, .program = -EBADF, .listener = -EBADF };
        s->capabilities = row->capabilities & capabilities;
        if (s->capabilities != row->capabilities)
                log_line("%s: capabilities %llx are not ours to give", row->name,
                         (unsigned long long) (row->capabilities & ~capabilities));
        for (unsigned i = 0; i < row->n_limits; i++)
                s->limits[i] = limit_probe(row, row->limits + i);

        r = user_find(row->user, &s->uid, /* ret_gid= */ NULL);
        if (r < 0) {
                log_line("%s: user %s: %s", row->name, row->user, strerror(-r));
                return r;
        }
        r = group_find(row->group, &s->gid);
        if (r < 0) {
                log_line("%s: group %s: %s", row->name, row->group, strerror(-r));
                return r;
        }

        r = program_open(row->program, &s->program);
        if (r < 0)
                log_line("%s: %s: %s, not served", row->name, row->program, strerror(-r));
        return 0;
}

int services_prepare(uint64_t capabilities, Service ret[static ROWS_MAX], size_t *ret_n) {
        size_t n = 0;

        for (const Row *row = table; row->name; row++) {
                int r;

                if (n == ROWS_MAX)
                        return -E2BIG;
                r = prepare(row, capabilities, ret + n);
                if (r < 0)
                        return r;
                n++;
        }

        *ret_n = n;
        return 0;
}
