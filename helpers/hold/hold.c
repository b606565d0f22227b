/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth-hold - keeps the delegated cgroup of berth-containers.service alive.
 *
 * systemd removes a unit's cgroup when no process is left in the unit, and a cgroup that has controllers enabled for its
 * children may hold no process itself. So this one moves into `hold/`, a child of the unit's cgroup, and waits there to be
 * ended. User berth-cgroup, no capability, no_new_privs; reads nothing from anybody. Taken over it is user berth-cgroup, who
 * owns all cgroups below the unit's anyway. */

#include "cgroup-tree.h"
#include "notify.h"
#include "util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int enter(const Hierarchy *h) {
        _cleanup_close_ int hold = -EBADF, procs = -EBADF;

        if (mkdirat(h->root, "hold", 0755) < 0 && errno != EEXIST)
                return -errno;
        hold = openat(h->root, "hold", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (hold < 0)
                return -errno;
        procs = openat(hold, "cgroup.procs", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
        if (procs < 0)
                return -errno;
        return write(procs, "0", 1) < 0 ? -errno : 0;
}

static int enter_all(void) {
        CgroupTree tree;
        int r;

        r = cgroup_tree_open(&tree);
        if (r < 0)
                return r;
        for (size_t i = 0; i < tree.n && r >= 0; i++) {
                const Hierarchy *h = tree.hierarchies + i;

                /* The two in which systemd has put us. */
                if (h->root >= 0 && (h->v2 || streq(h->name, "systemd")))
                        r = enter(h);
        }
        cgroup_tree_close(&tree);
        return r;
}

int main(int argc, char *argv[]) {
        int r;

        r = enter_all();
        if (r >= 0)
                r = notify_manager("READY=1");
        if (r < 0) {
                (void) fprintf(stderr, "berth-hold: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        for (;;)
                (void) pause();
}
