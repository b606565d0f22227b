/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The notify protocol: one datagram to the socket that $NOTIFY_SOCKET names. Runs in spawner and holder with what they have;
 * believes the environment that their starter, root, gave. */

#include "notify.h"

#include "util.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

int notify_manager(const char *state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path = secure_getenv("NOTIFY_SOCKET");
        _cleanup_close_ int fd = -EBADF;
        size_t n;

        if (!path)
                return 0;
        n = strlen(path);
        if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof(address.sun_path))
                return -EINVAL;
        memcpy(address.sun_path, path, n);
        if (address.sun_path[0] == '@') /* an abstract address, whose length is part of it */
                address.sun_path[0] = 0;

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address,
                   (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n)) < 0)
                return -errno;
        return 0;
}
