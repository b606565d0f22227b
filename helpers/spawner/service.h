/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A row of the table, ready to be served. */

#include "table.h"

#include <sys/types.h>

typedef struct Service {
        const Row *row;
        uid_t uid;
        gid_t gid;
        uint64_t capabilities; /* the row's, as far as the spawner has them itself */
        Limit limits[LIMITS_MAX]; /* the row's, as far as the spawner may raise them */
        int program;           /* O_PATH: what is executed, whatever happens to the path */
        int listener;
        bool made;             /* the listener is our own, so its path is ours to remove */
        unsigned running;
} Service;

/* Looks up users, opens programs, and sees how far capabilities and limits go. A row whose program is missing or could be
 * changed by others than root is not served: logged, program stays -EBADF. *ret_n: how many. */
int services_prepare(uint64_t capabilities, Service ret[static ROWS_MAX], size_t *ret_n);

/* Listening sockets: those that were handed over, or where none were, our own below /run/berth/helpers. */
int services_listen(Service services[], size_t n, uid_t berth, gid_t berth_gid);

/* Removes the paths of sockets that we have made ourselves. */
void services_unlink(const Service services[], size_t n);

/* Starts the row's program on that connection, which stays the caller's to close. Returns its pid. */
int service_start(const Service *s, gid_t berth_gid, int connection, pid_t *ret);

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
