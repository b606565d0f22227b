/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The spawner's listening sockets, at its start, as root: taken over from the service manager by the socket activation
 * protocol and told apart by their addresses, or made here. Believes LISTEN_FDS of its starter, which is root. */

#include "service.h"

#include "mutation.h"
#include "util.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SOCKETS "/run/berth/helpers"
#define BACKLOG 512
#define HANDED_OVER_FIRST 3

/* Ours alone: two spawners would take away each other's sockets. Held by a descriptor until we end. */
static int lock_sockets(void) {
        _cleanup_close_ int fd = -EBADF;

        fd = open(SOCKETS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (!MUTATION(spawner_lock) && flock(fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        (void) TAKE_FD(fd);
        return 0;
}

static void address_of(const Row *row, struct sockaddr_un *ret) {
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        (void) snprintf(ret->sun_path, sizeof(ret->sun_path), SOCKETS "/%s", row->name);
}

static int listener_make(const Row *row, uid_t berth, gid_t berth_gid, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct sockaddr_un address;
        mode_t mask;
        int r;

        address_of(row, &address);
        if (unlink(address.sun_path) < 0 && errno != ENOENT)
                return -errno;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *) &address, sizeof(address));
        (void) umask(mask);
        if (r < 0)
                return -errno;
        if (lchown(address.sun_path, berth, berth_gid) < 0)
                return -errno;
        if (listen(fd, BACKLOG) < 0)
                return -errno;

        *ret = TAKE_FD(fd);
        return 0;
}

static int listener_check(int fd) {
        int type, listening;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t) { sizeof(int) }) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &(socklen_t) { sizeof(int) }) < 0)
                return -errno;
        if (!MUTATION(spawner_listener) && (type != SOCK_STREAM || !listening))
                return -EINVAL;
        return 0;
}

/* Whose socket is it? NULL if no row's. */
static Service *service_of_listener(Service services[], size_t n, int fd) {
        struct sockaddr_un own, address = {};
        socklen_t size = sizeof(address) - 1;

        if (getsockname(fd, (struct sockaddr *) &address, &size) < 0 || address.sun_family != AF_UNIX)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                address_of(services[i].row, &own);
                if (streq(own.sun_path, address.sun_path))
                        return services + i;
        }
        return NULL;
}

static int listener_take(Service services[], size_t n, int fd) {
        Service *s;
        int flags;

        s = service_of_listener(services, n, fd);
        if (!s || s->listener >= 0 || listener_check(fd) < 0)
                return -EINVAL;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        s->listener = fd;
        return 0;
}

/* How many were handed over; 0 if that was meant for another process or for nobody. */
static size_t handed_over(void) {
        const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
        char own[16];

        (void) snprintf(own, sizeof(own), "%d", (int) getpid());
        if (!fds || !pid || !streq(pid, own))
                return 0;
        return (size_t) strtoul(fds, NULL, 10);
}

int services_listen(Service services[], size_t n, uid_t berth, gid_t berth_gid) {
        size_t n_handed_over = handed_over();
        int r;

        r = lock_sockets();
        if (r < 0) {
                log_line(SOCKETS ": %s", r == -EWOULDBLOCK ? "another spawner serves it" : strerror(-r));
                return r;
        }

        if (n_handed_over > ROWS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < n_handed_over; i++) {
                r = listener_take(services, n, HANDED_OVER_FIRST + (int) i);
                if (r < 0) {
                        log_line("socket %zu of those handed over is no row's: %s", i, strerror(-r));
                        return r;
                }
        }

        for (size_t i = 0; i < n; i++) {
                Service *s = services + i;

                if (s->program < 0) {
                        s->listener = close_fd(s->listener);
                        continue;
                }
                if (s->listener >= 0)
                        continue;
                if (n_handed_over > 0) {
                        log_line("%s: its socket was not handed over, not served", s->row->name);
                        continue;
                }
                r = listener_make(s->row, berth, berth_gid, &s->listener);
                if (r < 0) {
                        log_line("%s: socket: %s", s->row->name, strerror(-r));
                        return r;
                }
                s->made = true;
        }
        return 0;
}

void services_unlink(const Service services[], size_t n) {
        struct sockaddr_un address;

        for (size_t i = 0; i < n; i++)
                if (services[i].made) {
                        address_of(services[i].row, &address);
                        (void) unlink(address.sun_path);
                }
}
