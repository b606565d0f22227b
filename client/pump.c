/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See pump.h. */

#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "util.h"

#define END_OF_TRANSMISSION 4

static void set_nonblocking(int fd) {
        int flags = fcntl(fd, F_GETFL);

        if (flags >= 0)
                (void) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void pump_init(Pump *p, int from, bool own_from, int to, bool own_to) {
        p->from = from;
        p->to = to;
        p->own_from = own_from;
        p->own_to = own_to;
        p->terminal = p->ended = false;
        p->begin = p->end = 0;
        if (own_from)
                set_nonblocking(from);
        if (own_to)
                set_nonblocking(to);
}

bool pump_is_empty(const Pump *p) {
        return p->begin == p->end;
}

void pump_poll(const Pump *p, struct pollfd ret[static 2]) {
        bool full = p->end - p->begin == PUMP_BUFFER;

        ret[0] = (struct pollfd) { p->ended || full || p->to < 0 ? -1 : p->from, POLLIN, 0 };
        ret[1] = (struct pollfd) { pump_is_empty(p) ? -1 : p->to, POLLOUT, 0 };
}

static void close_to(Pump *p) {
        if (p->own_to)
                (void) close_fd(p->to);
        p->to = -EBADF;
        p->begin = p->end = 0;
}

static void fill(Pump *p) {
        ssize_t n;

        /* Room at the end of the buffer, all of it when it is empty. */
        if (pump_is_empty(p))
                p->begin = p->end = 0;
        else if (p->end == PUMP_BUFFER) {
                memmove(p->buffer, p->buffer + p->begin, p->end - p->begin);
                p->end -= p->begin;
                p->begin = 0;
        }
        n = read(p->from, p->buffer + p->end, PUMP_BUFFER - p->end);
        if (n > 0)
                p->end += (size_t) n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR)) /* a master whose other side is closed says EIO */
                p->ended = true;
        if (p->ended && p->terminal && p->end < PUMP_BUFFER)
                p->buffer[p->end++] = END_OF_TRANSMISSION;
}

static void drain(Pump *p) {
        size_t size = p->end - p->begin;
        ssize_t n;

        /* A descriptor that blocks was promised this much, and no more. */
        n = write(p->to, p->buffer + p->begin, p->own_to ? size : MIN(size, (size_t) PIPE_BUF));
        if (n > 0)
                p->begin += (size_t) n;
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
                close_to(p); /* nobody reads any more */
}

void pump_step(Pump *p, const struct pollfd fds[static 2]) {
        if (fds[0].revents)
                fill(p);
        if (fds[1].revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL))
                drain(p);
        /* The end is passed on as soon as everything before it has been. A master is also what output is read from. */
        if (p->ended && pump_is_empty(p) && p->to >= 0 && !p->terminal)
                close_to(p);
}

void pump_done(Pump *p) {
        if (p->own_from)
                (void) close_fd(p->from);
        if (p->own_to)
                (void) close_fd(p->to);
        p->from = p->to = -EBADF;
}
