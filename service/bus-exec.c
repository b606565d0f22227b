/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.berth1.Container.Exec: its arguments. The supervisor checks descriptors again and builds everything else itself. */

#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "limits.h"
#include "manager.h"
#include "mutation.h"
#include "bus-call.h"
#include "text-list.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define TERMINAL_SIZE_MAX 65535U
#define TEXT_MAX (48U * 1024) /* of arguments and environment together: one message of the wire has 64 KiB */

typedef struct Arguments {
        char **argv, **environment, **merged;
        const char *cwd;
        uint32_t user, group, rows, columns;
        int terminal;
        int given[3]; /* the message's own descriptors */
        int fds[3];   /* ours */
} Arguments;

static void arguments_done(Arguments *a) {
        strv_free(a->argv);
        strv_free(a->environment);
        strv_free(a->merged);
        for (size_t i = 0; i < ELEMENTSOF(a->fds); i++)
                close_fd(a->fds[i]);
}

static int invalid(sd_bus_error *error, const char *sentence) {
        return sd_bus_error_set(error, ERROR_INVALID_ARGUMENT, sentence);
}

static size_t strv_size(char *const *l) {
        size_t n = 0;

        for (char *const *i = l; i && *i; i++)
                n += strlen(*i) + 1;
        return n;
}

static int check(const Arguments *a, sd_bus_error *error) {
        if (strv_length(a->argv) == 0 || a->argv[0][0] == 0)
                return invalid(error, "A command has at least one word, the program.");
        if (strv_length(a->argv) > LIMIT_ARGUMENTS || strv_length(a->environment) > LIMIT_ARGUMENTS)
                return invalid(error, "At most 1024 arguments and 1024 variables.");
        for (char **i = a->argv; *i; i++)
                if (strlen(*i) > LIMIT_ARGUMENT)
                        return invalid(error, "An argument has at most 4096 bytes.");
        for (char **i = a->environment; i && *i; i++)
                if (strlen(*i) > LIMIT_ARGUMENT || !environment_entry_is_valid(*i))
                        return invalid(error, "The environment is made of NAME=value, at most 4096 bytes each.");
        if (strv_size(a->argv) + strv_size(a->environment) > TEXT_MAX)
                return invalid(error, "Arguments and environment together have at most 48 KiB.");
        if (!folder_is_valid(a->cwd) || strlen(a->cwd) > LIMIT_ARGUMENT)
                return invalid(error, "cwd is an absolute path without '..'.");
        if (a->user >= RANGE_SIZE || a->group >= RANGE_SIZE)
                return invalid(error, "User and group are IDs inside the container, below 65536.");
        if (a->rows > TERMINAL_SIZE_MAX || a->columns > TERMINAL_SIZE_MAX)
                return invalid(error, "A terminal has at most 65535 rows and columns.");
        if (a->terminal && (a->given[0] >= 0 || a->given[1] >= 0 || a->given[2] >= 0))
                return invalid(error, "With a terminal no stdin, stdout or stderr can be given.");
        return 0;
}

/* A folder would be a way out of the container, a terminal a way to type into the caller's. */
static int take(int fd, int *ret, sd_bus_error *error) {
        int flags = fcntl(fd, F_GETFL), copy;
        struct stat st;
        bool fits;

        if (flags < 0 || fstat(fd, &st) < 0)
                return -errno;
        fits = S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) ||
               (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
        if (!MUTATION(exec_descriptor) && ((flags & O_PATH) || !fits))
                return invalid(error, "stdin, stdout and stderr are pipes, sockets, regular files or /dev/null. For a terminal "
                                      "use the option 'terminal'.");
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;
        *ret = copy;
        return 0;
}

static int read_arguments(BusCall *q, Arguments *a, sd_bus_error *error) {
        const Option options[] = {
                { "environment", "as", &a->environment },
                { "cwd", "s", &a->cwd },
                { "user", "u", &a->user },
                { "group", "u", &a->group },
                { "stdin", "h", &a->given[0] },
                { "stdout", "h", &a->given[1] },
                { "stderr", "h", &a->given[2] },
                { "terminal", "b", &a->terminal },
                { "rows", "u", &a->rows },
                { "columns", "u", &a->columns },
                {},
        };
        int r;

        r = sd_bus_message_read_strv(q->message, &a->argv);
        if (r >= 0)
                r = bus_call_options(q, options, error);
        if (r < 0)
                return r;
        return check(a, error);
}

int container_method_exec(BusCall *q, sd_bus_error *error) {
        _cleanup_(arguments_done) Arguments a = { .cwd = "/", .given = { -EBADF, -EBADF, -EBADF }, .fds = { -EBADF, -EBADF, -EBADF } };
        ExecRequest request;
        Container *c;
        char user[12];
        Subject s;
        int r;

        r = read_arguments(q, &a, error);
        if (r >= 0)
                r = bus_call_container(q, &c, error);
        if (r < 0)
                return r;
        s = subject_of_container(c);
        s.command = a.argv[0];
        (void) snprintf(user, sizeof(user), "%u", a.user);
        s.user = user;
        r = authorize(q, &s, error);
        if (r <= 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(a.fds); i++)
                if (a.given[i] >= 0) {
                        r = take(a.given[i], &a.fds[i], error);
                        if (r < 0)
                                return r;
                }
        r = config_environment(&c->config, a.environment, &a.merged);
        if (r < 0)
                return r;
        request = (ExecRequest) {
                .argv = a.argv,
                .environment = a.merged,
                .cwd = a.cwd,
                .user = a.user,
                .group = a.group,
                .terminal = a.terminal,
                .rows = a.rows,
                .columns = a.columns,
                .fds = { TAKE_FD(a.fds[0]), TAKE_FD(a.fds[1]), TAKE_FD(a.fds[2]) },
        };
        return container_exec(c, &request, q, error);
}
