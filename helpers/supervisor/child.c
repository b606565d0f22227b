/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Between the supervisor and its forks. Runs as S, or as root of the container's user namespace; both ends are our own
 * code, since the pair closes itself on exec. */

#include "child.h"

#include "signals.h"
#include "sys.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

int child_send(int socket, const ChildMessage *message, const int *fds, size_t n_fds) {
        char control[CMSG_SPACE(CHILD_FDS_MAX * sizeof(int))] = {};
        struct iovec iov = { (void *) message, sizeof(*message) };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (n_fds > CHILD_FDS_MAX)
                return -EMFILE;
        if (n_fds > 0) {
                struct cmsghdr *c;

                header.msg_control = control;
                header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&header);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        do
                n = sendmsg(socket, &header, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

static size_t take_descriptors(struct msghdr *header, int *fds, size_t max) {
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t here;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < here; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (n < max)
                                fds[n++] = fd;
                        else
                                (void) close_fd(fd);
                }
        }
        return n;
}

int child_receive(int socket, bool wait, ChildMessage *ret, int *fds, size_t max, size_t *ret_n) {
        char control[CMSG_SPACE(CHILD_FDS_MAX * sizeof(int))];
        struct iovec iov = { ret, sizeof(*ret) };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        do
                n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == ECONNRESET ? 0 : -errno;
        *ret_n = take_descriptors(&header, fds, max);
        if (n == 0)
                return 0;
        if ((size_t) n != sizeof(*ret))
                return -EBADMSG;
        ret->step[sizeof(ret->step) - 1] = '\0';
        return 1;
}

void child_fail(int socket, const char *step, int r) {
        ChildMessage m = { .kind = CHILD_ERROR, .value = r };

        (void) strncpy(m.step, step, sizeof(m.step) - 1);
        (void) child_send(socket, &m, /* fds= */ NULL, 0);
        _exit(1);
}

static int compare(const void *a, const void *b) {
        return *(const int *) a - *(const int *) b;
}

int child_close_others(int *keep, size_t n) {
        unsigned next = 3;
        int r;

        qsort(keep, n, sizeof(int), compare);
        for (size_t i = 0; i < n; i++) {
                if (keep[i] < 3)
                        continue;
                if ((unsigned) keep[i] > next) {
                        r = sys_close_range(next, (unsigned) keep[i] - 1, 0);
                        if (r < 0)
                                return r;
                }
                next = (unsigned) keep[i] + 1;
        }
        return sys_close_range(next, ~0U, 0);
}

int child_die_with_parent(void) {
        return sys_result(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
}

int child_reset(void) {
        sigset_t none;
        int r;

        r = signals_reset();
        if (r < 0)
                return r;
        (void) sigemptyset(&none);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                return -errno;
        (void) umask(022);
        (void) setsid();
        return 0;
}

int child_reset_oom(void) {
        _cleanup_close_ int fd = -EBADF;
        char now[8] = {};

        fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (read(fd, now, sizeof(now) - 1) < 0)
                return -errno;
        if (now[0] == '-' && pwrite(fd, "0", 1, 0) < 0)
                return -errno;
        return 0;
}
