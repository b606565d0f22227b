/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From fork to exec: how the spawner's child becomes what its row says.
 *
 * Starts as root with the union of all rows and one connection, of which it reads nothing. Each step is checked; if one
 * fails the child says so and ends, which closes the connection: nothing runs with more than its row. */

#include "service.h"

#include "mutation.h"
#include "util.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CONNECTION_FD 3
#define PROGRAM_FD 4

/* Descriptors 0 and 1 are /dev/null and 2 is the log in the spawner already. */
static int arrange_descriptors(int connection, int program) {
        int c, p;

        /* Copies above both targets first, so that neither overwrites the other. */
        c = fcntl(connection, F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
        p = fcntl(program, F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
        if (c < 0 || p < 0)
                return -1;
        if (dup2(c, CONNECTION_FD) < 0 || dup3(p, PROGRAM_FD, O_CLOEXEC) < 0)
                return -1;
        if (MUTATION(spawner_close))
                return 0;
        return close_range(PROGRAM_FD + 1, ~0U, 0);
}

static int set_limits(const Service *s) {
        for (unsigned i = 0; i < s->row->n_limits; i++) {
                const Limit *l = s->limits + i;

                if (setrlimit((__rlimit_resource_t) l->resource, &(struct rlimit) { l->soft, l->hard }) < 0)
                        return -1;
        }
        return 0;
}

static int drop_bounding_set(uint64_t keep) {
        for (unsigned long c = 0; c < 64; c++) {
                int r = prctl(PR_CAPBSET_READ, c, 0, 0, 0);

                if (r < 0)
                        return errno == EINVAL ? 0 : -1; /* one more than the kernel's last */
                /* Most are gone from the spawner's own set; each drop makes the kernel copy the credentials. */
                if (r > 0 && !(keep & (UINT64_C(1) << c)) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
                        return -1;
        }
        return 0;
}

static int change_identity(const Service *s, gid_t berth_gid) {
        if (setgroups(1, &berth_gid) < 0 || setresgid(s->gid, s->gid, s->gid) < 0)
                return -1;
        /* Else leaving uid 0 would clear the permitted set. exec turns it off again. */
        if (s->uid != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                return -1;
        return setresuid(s->uid, s->uid, s->uid);
}

static int set_capabilities(uint64_t set, bool ambient) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        uint32_t low = (uint32_t) set, high = (uint32_t) (set >> 32);
        struct __user_cap_data_struct data[2] = {
                { .effective = low, .permitted = low, .inheritable = ambient ? low : 0 },
                { .effective = high, .permitted = high, .inheritable = ambient ? high : 0 },
        };

        if (syscall(SYS_capset, &header, data) < 0)
                return -1;
        for (unsigned long c = 0; ambient && c < 64; c++)
                if ((set & (UINT64_C(1) << c)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) < 0)
                        return -1;
        return 0;
}

static int execute(const Row *row) {
        const char *slash = strrchr(row->program, '/');
        char pid[32], *argv[] = { (char *) (slash ? slash + 1 : row->program), NULL };
        char *environment[] = { (char *) "LISTEN_FDS=1", pid, (char *) "LISTEN_FDNAMES=varlink", NULL };

        (void) snprintf(pid, sizeof(pid), "LISTEN_PID=%d", (int) getpid());
        (void) syscall(SYS_execveat, PROGRAM_FD, "", argv, environment, AT_EMPTY_PATH);
        return -1;
}

/* Returns the step that failed, with errno. */
static const char *become(const Service *s, gid_t berth_gid, int connection) {
        static const int handled[] = { SIGCHLD, SIGTERM, SIGINT };
        const Row *row = s->row;
        sigset_t none;

        if (setsid() < 0)
                return "session";
        if (arrange_descriptors(connection, s->program) < 0)
                return "descriptors";
        /* Nothing is ignored in the spawner. What it handles must not run here, in the spawner's own memory. */
        for (size_t i = 0; i < ELEMENTSOF(handled); i++)
                if (signal(handled[i], SIG_DFL) == SIG_ERR)
                        return "signals";
        (void) sigemptyset(&none);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                return "signals";
        (void) umask(077);
        if (set_limits(s) < 0)
                return "limits";
        /* Survives exec, and no helper's seccomp list has a call that could stop it. */
        if (!MUTATION(spawner_deadline))
                (void) alarm(row->deadline);
        if (!MUTATION(spawner_bounding) && drop_bounding_set(row->capabilities) < 0)
                return "bounding set";
        if (change_identity(s, berth_gid) < 0)
                return "user and groups";
        if (set_capabilities(s->capabilities, /* ambient= */ s->uid != 0) < 0)
                return "capabilities";
        if (!MUTATION(spawner_nnp) && row->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return "no_new_privs";
        (void) execute(row);
        return "execute";
}

int service_start(const Service *s, gid_t berth_gid, int connection, pid_t *ret) {
        const char *step;
        pid_t pid;

        pid = vfork(); /* the child writes to its own stack alone, and we stand still until it has executed */
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                step = become(s, berth_gid, connection);
                log_line("%s: %s: %m", s->row->name, step);
                _exit(EXIT_FAILURE);
        }

        *ret = pid;
        return 0;
}
