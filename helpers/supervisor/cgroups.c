/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Getting processes into ROOT/SLOT/payload.
 *
 * Runs as S. On v2 a process is born there; on v1 it writes `0` into `tasks`, which S opened itself: so the descriptor
 * moves only S's own processes, whoever gets hold of it. Nothing here writes a cgroup.procs: that waits for a grace
 * period of the kernel, some 10 ms. */

#include "mutation.h"
#include "supervisor.h"
#include "sys.h"

#include <stdio.h>
#include <sys/stat.h>

/* Where programs go when init has enabled controllers in payload, which then holds no process itself. */
#define FALLBACK ".berth"

int cgroups_open(Supervisor *s) {
        char path[32];

        for (size_t i = 0; i < s->tree.n; i++) {
                const Hierarchy *h = &s->tree.hierarchies[i];
                int fd;

                if (h->root < 0)
                        continue;
                (void) snprintf(path, sizeof(path), "%u/payload%s", s->slot.number, h->v2 ? "" : "/tasks");
                fd = sys_openat2(h->root, path, h->v2 ? O_RDONLY | O_DIRECTORY : O_WRONLY,
                                 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
                if (fd < 0)
                        return fd;
                if (h->v2)
                        s->payload = fd;
                else
                        s->tasks[s->n_tasks++] = fd;
        }
        return 0;
}

int cgroups_join(const Supervisor *s) {
        for (size_t i = 0; i < s->n_tasks; i++)
                if (write(s->tasks[i], "0", 1) < 0)
                        return -errno;
        return 0;
}

int cgroups_clone(const Supervisor *s, struct clone_args *args) {
        _cleanup_close_ int fallback = -EBADF;
        int r;

        if (s->payload < 0)
                return sys_clone3(args);
        args->flags |= CLONE_INTO_CGROUP;
        args->cgroup = (uint64_t) s->payload;
        r = sys_clone3(args);
        if (r != -EBUSY && r != -EOPNOTSUPP)
                return r;

        fallback = sys_openat2(s->payload, FALLBACK, O_RDONLY | O_DIRECTORY,
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
        if (fallback < 0)
                return r;
        args->cgroup = (uint64_t) fallback;
        return sys_clone3(args);
}

/* By the first process before it becomes root of its namespace: so the folder is S's, and S can be born into it. Only
 * where init could enable a controller at all. */
int cgroups_make_fallback(const Supervisor *s) {
        _cleanup_close_ int controllers = -EBADF;
        char c;

        if (s->payload < 0)
                return 0;
        controllers = openat(s->payload, "cgroup.controllers", O_RDONLY | O_CLOEXEC);
        if (controllers < 0)
                return -errno;
        if (read(controllers, &c, 1) <= 0 || c == '\n')
                return 0;
        if (mkdirat(s->payload, FALLBACK, 0755) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}
