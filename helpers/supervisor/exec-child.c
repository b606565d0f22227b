/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the supervisor into the container: the joiner and the program that it starts.
 *
 * The joiner is a fork of the supervisor in the payload's cgroup; it enters init's namespaces, forks once more for the pid
 * namespace to count, says who that was and is gone. Neither is dumpable until the program is executed, and their memory belongs to the
 * host's user namespace, so nothing inside can trace them. They trust nothing inside: all that they open there is
 * a terminal, whose file system is checked. */

#include "exec.h"

#include "confine.h"
#include "mutation.h"
#include "sys.h"

#include <grp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <termios.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The container's own devpts, whatever its root has put there: on another file system we open nothing. */
static int open_terminal(int *ret_master, int *ret_slave) {
        _cleanup_close_ int folder = -EBADF, master = -EBADF;
        struct statfs sfs;
        int slave, unlock = 0;

        folder = sys_openat2(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
        if (folder < 0)
                return folder;
        if (fstatfs(folder, &sfs) < 0)
                return -errno;
        if (!MUTATION(devpts_type) && sfs.f_type != DEVPTS_SUPER_MAGIC)
                return -ENODEV;
        master = sys_openat2(folder, "ptmx", O_RDWR | O_NOCTTY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
        if (master < 0)
                return master;
        if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
                return -errno;
        slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
                return -errno;
        *ret_master = TAKE_FD(master);
        *ret_slave = slave;
        return 0;
}

/* Makes it the standard descriptors and the controlling terminal; both ends go to the supervisor. */
static int use_terminal(const ExecCall *call, int socket) {
        const struct winsize size = { .ws_row = (unsigned short) call->rows, .ws_col = (unsigned short) call->columns };
        const ChildMessage m = { .kind = CHILD_TERMINAL };
        _cleanup_close_ int master = -EBADF, slave = -EBADF;
        int r;

        r = open_terminal(&master, &slave);
        if (r < 0)
                return r;
        if (fchown(slave, (uid_t) call->user, (gid_t) -1) < 0 || ioctl(slave, TIOCSWINSZ, &size) < 0 ||
            ioctl(slave, TIOCSCTTY, 0) < 0)
                return -errno;
        for (int i = 0; i < 3; i++)
                if (dup2(slave, i) < 0)
                        return -errno;
        return child_send(socket, &m, (const int[]) { master, slave }, 2);
}

/* As 0, 1, 2, whatever numbers below 3 they may have. */
static int use_standard(const ExecCall *call) {
        int copies[3];

        for (int i = 0; i < 3; i++) {
                copies[i] = fcntl(call->standard[i], F_DUPFD_CLOEXEC, 3);
                if (copies[i] < 0)
                        return -errno;
        }
        for (int i = 0; i < 3; i++)
                if (dup2(copies[i], i) < 0)
                        return -errno;
        return 0;
}

static const char *search_path(const ExecCall *call) {
        for (char **e = call->environment; *e; e++)
                if (strncmp(*e, "PATH=", 5) == 0)
                        return *e + 5;
        return DEFAULT_PATH;
}

/* A name without a slash is looked for in the PATH that it will have, inside, with its own rights. */
static int execute(const ExecCall *call) {
        const char *name = call->arguments[0], *path = search_path(call);
        int r = -ENOENT;

        if (strchr(name, '/')) {
                (void) execve(name, call->arguments, call->environment);
                return -errno;
        }
        for (size_t n; *path; path += n + (path[n] == ':')) {
                char file[4096];

                n = strcspn(path, ":");
                if (n == 0 || path[0] != '/' ||
                    snprintf(file, sizeof(file), "%.*s/%s", (int) n, path, name) >= (int) sizeof(file))
                        continue;
                (void) execve(file, call->arguments, call->environment);
                if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                        return -errno;
                if (errno == EACCES)
                        r = -EACCES;
        }
        return r;
}

static int become_program(const ExecCall *call, int socket, const char **ret_step) {
        const ChildMessage ready = { .kind = CHILD_READY };
        int r;

        STEP("signals", child_reset());
        if (call->terminal)
                STEP("terminal", use_terminal(call, socket));
        else
                STEP("standard descriptors", use_standard(call));
        STEP("descriptors", child_close_others(&socket, 1));
        r = confine((uid_t) call->user, (gid_t) call->group, ret_step);
        if (r < 0)
                return r;
        STEP("working directory", confine_chdir(call->cwd));
        STEP("ready", child_send(socket, &ready, NULL, 0));
        *ret_step = "execute";
        return execute(call);
}

static int become_root(void) {
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return -errno;
        /* Changing IDs has set what root configured for setuid programs (fs.suid_dumpable). */
        return sys_result(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

/* Only a dumpable process can write its own score. Here it is S still, outside, where nobody else is S. */
static int reset_oom(void) {
        int r;

        if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
                return -errno;
        r = child_reset_oom();
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        return r;
}

static int keep_what_is_needed(const Supervisor *s, const ExecCall *call, int socket) {
        int keep[5 + HIERARCHIES_MAX];
        size_t n = 0;

        keep[n++] = socket;
        keep[n++] = s->init_pidfd;
        for (int i = 0; i < 3; i++)
                keep[n++] = call->standard[i]; /* negative ones are passed over */
        for (size_t i = 0; i < s->n_tasks; i++)
                keep[n++] = s->tasks[i];
        return child_close_others(keep, n);
}

static int join(const Supervisor *s, const ExecCall *call, int socket, const char **ret_step) {
        const int namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
                CLONE_NEWCGROUP;
        int pidfd = -EBADF, r;
        struct clone_args args = { .flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t) (uintptr_t) &pidfd };
        ChildMessage m = { .kind = CHILD_PID };

        STEP("descriptors", keep_what_is_needed(s, call, socket));
        STEP("join", child_die_with_parent());
        STEP("join", reset_oom());
        STEP("join cgroup", cgroups_join(s));
        STEP("join namespaces", sys_result(setns(s->init_pidfd, namespaces)));
        STEP("join namespaces", become_root());
        STEP("join namespaces", sys_clone3(&args));
        if (r == 0) {
                r = become_program(call, socket, ret_step);
                child_fail(socket, *ret_step, r);
        }
        m.value = r;
        STEP("join", child_send(socket, &m, &pidfd, 1));
        return 0;
}

void exec_joiner(const Supervisor *s, const ExecCall *call, int socket) {
        const char *step = "join";
        int r;

        r = join(s, call, socket, &step);
        if (r < 0)
                child_fail(socket, step, r);
        _exit(0);
}
