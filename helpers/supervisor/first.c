/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The container's first process.
 *
 * Born as S in namespaces of its own, with all capabilities of the user namespace that it is the first of, and none
 * outside. Dumpable until it is mapped, or its maps would be root's files; then root of its namespace. It faces the image, which
 * is hostile: every name in it is resolved without links, every mount attached by descriptor. */

#include "first.h"

#include "confine.h"
#include "mutation.h"
#include "sys.h"

#include <grp.h>
#include <linux/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Nothing of the supervisor's but the socket and what joins the cgroups. */
static int first_init(const Supervisor *s, int socket) {
        int keep[2 + HIERARCHIES_MAX];
        size_t n = 0;
        int r;

        keep[n++] = socket;
        if (s->payload >= 0)
                keep[n++] = s->payload;
        for (size_t i = 0; i < s->n_tasks; i++)
                keep[n++] = s->tasks[i];
        r = child_close_others(keep, n);
        if (r < 0)
                return r;
        r = child_die_with_parent();
        if (r < 0)
                return r;
        if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
                return -errno;
        return child_reset_oom();
}

static int become_root(int socket) {
        char c;
        int r;

        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return -errno;
        r = child_die_with_parent();
        if (r < 0)
                return r;
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        /* The supervisor may have died between the two. */
        return recv(socket, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ? -EOWNERDEAD : 0;
}

static int join_cgroups(const Supervisor *s) {
        int r;

        r = cgroups_join(s);
        if (r < 0)
                return r;
        r = cgroups_make_fallback(s);
        if (r < 0)
                return r;
        return unshare(CLONE_NEWCGROUP) < 0 ? -errno : 0;
}

static int loopback_up(void) {
        struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        _cleanup_close_ int fd = -EBADF;

        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* Nothing of the host's: in a container's root this is its own /dev, which no image has a say in. */
static int null_stdio(void) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
                return -ENODEV;
        for (int i = 0; i < 3; i++)
                if (dup2(fd, i) < 0)
                        return -errno;
        return 0;
}

static int execute_init(const Supervisor *s, int socket, const int *layers, size_t n_layers, const char **ret_step) {
        const ChildMessage ready = { .kind = CHILD_READY };
        int r;

        STEP("cgroups", join_cgroups(s));
        STEP("root of the namespace", become_root(socket));
        r = root_build(s, layers, n_layers, ret_step);
        if (r < 0)
                return r;
        STEP("loopback", loopback_up());
        STEP("hostname", sys_result(sethostname(s->plan.hostname, strlen(s->plan.hostname))));
        STEP("signals", child_reset());
        STEP("standard descriptors", null_stdio());
        r = confine(/* uid= */ 0, /* gid= */ 0, ret_step);
        if (r < 0)
                return r;
        STEP("working directory", confine_chdir(s->plan.cwd));
        STEP("descriptors", sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
        STEP("ready", child_send(socket, &ready, NULL, 0));
        *ret_step = "execute";
        (void) execve(s->plan.arguments[0], s->plan.arguments, s->plan.environment);
        return -errno;
}

/* The worker builds and confines itself: control socket, folder, archive become 3, 4 and 5. */
static int place_descriptors(int *fds, size_t n, int *socket) {
        enum { ASIDE = 64 }; /* out of the way of the fixed numbers; nothing is open there */

        for (size_t i = 0; i < n; i++)
                if (dup3(fds[i], ASIDE + (int) i, O_CLOEXEC) < 0)
                        return -errno;
        if (dup3(*socket, ASIDE + (int) n, O_CLOEXEC) < 0)
                return -errno;
        *socket = ASIDE + (int) n;
        for (size_t i = 1; i < n; i++)
                if (dup2(ASIDE + (int) i, 2 + (int) i) < 0)
                        return -errno;
        fds[0] = ASIDE;
        return sys_close_range(3 + (unsigned) n - 1, ASIDE - 1, 0);
}

static int execute_worker(const Supervisor *s, int *socket, const char *operation, int *fds, size_t n, const char **ret_step) {
        const ChildMessage ready = { .kind = CHILD_READY };
        char *const arguments[] = { (char *) "berth-worker", (char *) operation, NULL };
        char *const environment[] = { NULL };
        int r;

        STEP("descriptors", n == 3 || n == 4 ? 0 : -EBADMSG);
        STEP("cgroups", cgroups_join(s));
        STEP("root of the namespace", become_root(*socket));
        STEP("no new privileges", sys_result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
        STEP("signals", child_reset());
        STEP("descriptors", null_stdio());
        STEP("descriptors", place_descriptors(fds, n, socket));
        STEP("descriptors", sys_close_range(3 + (unsigned) n - 1, ~0U, CLOSE_RANGE_CLOEXEC));
        STEP("ready", child_send(*socket, &ready, NULL, 0));
        *ret_step = "execute";
        (void) syscall(SYS_execveat, fds[0], "", arguments, environment, AT_EMPTY_PATH);
        return -errno;
}

void first_process(Supervisor *s, int socket) {
        const ChildMessage hello = { .kind = CHILD_HELLO };
        int fds[LAYERS_MAX + 1];
        const char *step = "first process";
        ChildMessage m;
        size_t n = 0;
        int r;

        r = first_init(s, socket);
        if (r >= 0)
                r = child_send(socket, &hello, NULL, 0);
        if (r < 0)
                child_fail(socket, step, r);

        r = child_receive(socket, /* wait= */ true, &m, fds, ELEMENTSOF(fds), &n);
        if (r == 0)
                _exit(1); /* the supervisor is gone */
        if (r < 0)
                child_fail(socket, "request", r);
        if (m.kind == CHILD_WORK)
                r = execute_worker(s, &socket, m.step, fds, n, &step);
        else
                r = execute_init(s, socket, fds, n, &step);
        child_fail(socket, step, r);
}
