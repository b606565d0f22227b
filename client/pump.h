/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bytes from one descriptor to another, a buffer's worth in between, as poll() says. The far descriptor is ours and does not
 * block; the near one (standard input or output) is shared with others: its flags are never changed, and no more is written
 * at a time than poll() has promised. */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PUMP_BUFFER 65536U

typedef struct Pump {
        int from, to;        /* -EBADF once closed or given up */
        bool own_from, own_to; /* ours: nonblocking, closed at the end */
        bool terminal;       /* to is a pseudo terminal's master: the end of input is a character */
        bool ended;
        size_t begin, end;
        char buffer[PUMP_BUFFER];
} Pump;

void pump_init(Pump *p, int from, bool own_from, int to, bool own_to);
/* What to wait for; both descriptors may be -1 (not waited for). */
void pump_poll(const Pump *p, struct pollfd ret[static 2]);
/* Moves what can be moved now. */
void pump_step(Pump *p, const struct pollfd fds[static 2]);
bool pump_is_empty(const Pump *p);
void pump_done(Pump *p);
