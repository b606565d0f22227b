/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What CHOWN and DAC_READ_SEARCH are worth here: fchown() takes a descriptor, and a descriptor comes only from what Landlock
 * lets us open. */

#include "confine.h"

#include "mutation.h"
#include "util.h"

#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "no-bpf-seccomp.h"

/* Younger than the oldest kernel headers that we build with. */
#define RIGHT_REFER (UINT64_C(1) << 13)     /* ABI 2 */
#define RIGHT_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define RIGHT_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define RIGHTS_FIRST (RIGHT_REFER - 1)

#define RIGHTS_TREE                                                                                                    \
        (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                  \
         LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR)

static int add_rule(int rules, int folder, uint64_t rights) {
        const struct landlock_path_beneath_attr beneath = { .allowed_access = rights, .parent_fd = folder };

        return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ? -errno : 0;
}

int confine_files(const CgroupTree *tree, int slots) {
        struct landlock_ruleset_attr attributes = { .handled_access_fs = RIGHTS_FIRST };
        _cleanup_close_ int rules = -EBADF;
        long abi;
        int r;

        abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (abi < 0)
                return -errno;
        if (abi >= 2)
                attributes.handled_access_fs |= RIGHT_REFER;
        if (abi >= 3)
                attributes.handled_access_fs |= RIGHT_TRUNCATE;
        if (abi >= 5)
                attributes.handled_access_fs |= RIGHT_IOCTL_DEV;
        rules = (int) syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
        if (rules < 0)
                return -errno;

        for (size_t i = 0; i < tree->n; i++)
                if (tree->hierarchies[i].root >= 0) {
                        r = add_rule(rules, tree->hierarchies[i].root, RIGHTS_TREE);
                        if (r < 0)
                                return r;
                }
        r = add_rule(rules, slots, LANDLOCK_ACCESS_FS_READ_FILE);
        if (r < 0)
                return r;
#ifdef INSTRUMENT_COVERAGE
        return 0; /* the counters are written somewhere else */
#endif
        if (MUTATION(cgroup_landlock))
                return 0;
        return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;
}

int confine_bpf(void) {
        return prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &no_bpf_seccomp, 0, 0) < 0 ? -errno : 0;
}
