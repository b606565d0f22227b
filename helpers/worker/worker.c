/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth-worker - touches the content of a root file system: unpacks one, or deletes one.
 *
 * Executed by a supervisor's first process as root of the supervisor's user namespace, which holds one container's IDs and
 * nothing of the host's. Believes root's limits file, and of its starter that the mount namespace is its own; not the
 * archive, not the content. Locks itself in before it looks at either. The most it can do, taken over by an archive, is
 * to make of this one layer what its owner could make of it, and to waste as much disk and time as the limits allow.
 * Interface: worker.h. Policy: docs/threat-model.md, "worker". */

#include "confine.h"
#include "delete.h"
#include "unpack.h"
#include "util.h"

#include "delete-seccomp.h"
#include "unpack-seccomp.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>

#ifdef INSTRUMENT_ASAN
/* The leak check at exit clones a thread that traces the process, which no list allows. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) {
        return "detect_leaks=0";
}
#endif

#define CAP_BIT(c) (UINT64_C(1) << CAP_##c)

typedef struct Operation {
        const char *name;
        int highest_fd;
        uint64_t capabilities;
        const struct sock_fprog *seccomp;
        int (*run)(Job *j);
} Operation;

static const Operation operations[] = {
        { "unpack", WORKER_ARCHIVE_FD,
          CAP_BIT(CHOWN) | CAP_BIT(DAC_OVERRIDE) | CAP_BIT(FOWNER) | CAP_BIT(FSETID) | CAP_BIT(SETFCAP),
          &unpack_seccomp, unpack },
        { "delete", WORKER_FOLDER_FD, CAP_BIT(DAC_OVERRIDE) | CAP_BIT(FOWNER), &delete_seccomp, delete_all },
};

static const Operation *find_operation(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(operations); i++)
                if (streq(operations[i].name, name))
                        return operations + i;

        return NULL;
}

static int check_socket(void) {
        int domain;

        if (getsockopt(WORKER_SOCKET_FD, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof(domain) }) < 0)
                return -errno;

        return domain == AF_UNIX ? 0 : -EINVAL;
}

static int check_archive(void) {
        struct stat st;
        int flags;

        flags = fcntl(WORKER_ARCHIVE_FD, F_GETFL);
        if (flags < 0 || fstat(WORKER_ARCHIVE_FD, &st) < 0)
                return -errno;
        if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY)
                return -EBADF;

        return S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) ? 0 : -EINVAL;
}

static int run(Job *j, const Operation *operation) {
        int r;

        r = limits_load(&j->limits);
        if (r < 0)
                return job_failed(j, "read " LIMITS_PATH, r);
        if (operation->highest_fd == WORKER_ARCHIVE_FD) {
                r = check_archive();
                if (r < 0)
                        return job_bad_archive(j, "archive is no file, pipe or socket", r);
                unpack_prepare();
        }
        r = confine(j, operation->highest_fd, operation->capabilities, operation->seccomp);
        if (r < 0)
                return r;

        return operation->run(j);
}

int main(int argc, char *argv[]) {
        const Operation *operation;
        Job job = {};
        int r;

        operation = argc == 2 ? find_operation(argv[1]) : NULL;
        if (!operation || check_socket() < 0)
                return EXIT_FAILURE;
        if (clearenv() != 0)
                return EXIT_FAILURE;

        r = run(&job, operation);
        if (job_finish(&job) < 0)
                r = -EPIPE;
#ifdef INSTRUMENT_COVERAGE
        confine_leave();
#endif
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
