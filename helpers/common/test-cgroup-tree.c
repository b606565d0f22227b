/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The berth roots in real hierarchies, and what is put in their place to mislead. */

#include "cgroup-tree.h"

#include "test-cgroups.h"
#include "test.h"
#include "util.h"

#include <sys/mount.h>
#include <sys/stat.h>

static void test_v2(void) {
        CgroupTree t;

        check_equal(cgroup_tree_open(&t), -ENOENT);
        test_make_roots(0);
        check_equal(cgroup_tree_open(&t), 0);
        check_equal(t.n, 1);
        check(t.hierarchies[0].v2 && streq(t.hierarchies[0].name, ""));
        check(cgroup_tree_find(&t, NULL) == t.hierarchies);
        check(!cgroup_tree_find(&t, "memory"));
        check_equal(cgroup_tree_has_slot(&t, 7), 0);
        check(mkdir("/sys/fs/cgroup/berth/7", 0755) == 0);
        check_equal(cgroup_tree_has_slot(&t, 7), 1);
        check_equal(cgroup_tree_has_slot(&t, 70), 0);
        cgroup_tree_close(&t);
        check_equal(t.n, 0);

        /* What the service manager delegated goes before. */
        check(mkdir("/sys/fs/cgroup/berth.slice", 0755) == 0);
        check_equal(cgroup_tree_open(&t), 0);
        check_equal(cgroup_tree_has_slot(&t, 7), 1);
        cgroup_tree_close(&t);
        check(mkdir("/sys/fs/cgroup/berth.slice/berth-containers.service", 0755) == 0);
        check_equal(cgroup_tree_open(&t), 0);
        check_equal(cgroup_tree_has_slot(&t, 7), 0);
        cgroup_tree_close(&t);
}

static void test_hybrid(void) {
        const Hierarchy *memory, *cpu;
        CgroupTree t;
        size_t n;

        check_equal(cgroup_tree_open(&t), -ENOENT);
        test_make_roots(0);
        check_equal(cgroup_tree_open(&t), 0);
        n = t.n;
        for (size_t i = 0; i < n; i++)
                check(t.hierarchies[i].root >= 0);
        check(cgroup_tree_find(&t, NULL));
        check(cgroup_tree_find(&t, "systemd"));
        check(!cgroup_tree_find(&t, "unified")); /* a controller's hierarchies are v1's */
        check(!cgroup_tree_find(&t, "mem"));
        check(!cgroup_tree_find(&t, ""));
        cgroup_tree_close(&t);

        /* A link to a hierarchy, a folder that is none, another file system below one. */
        check(symlink("memory", "/sys/fs/cgroup/alias") == 0);
        check(mkdir("/sys/fs/cgroup/plain", 0755) == 0);
        check_equal(cgroup_tree_open(&t), 0);
        check_equal(t.n, n);
        memory = cgroup_tree_find(&t, "memory");
        cpu = cgroup_tree_find(&t, "cpu");
        check(memory && memory->root >= 0 && cpu && cpu != memory);
        cgroup_tree_close(&t);

        /* A root on another mount is not ours. */
        check(mount("tmpfs", "/sys/fs/cgroup/memory/berth", "tmpfs", 0, NULL) == 0);
        check_equal(cgroup_tree_open(&t), -EXDEV);
        check(umount("/sys/fs/cgroup/memory/berth") == 0);

        /* One hierarchy without a root is told, and no error. */
        check(rmdir("/sys/fs/cgroup/memory/berth") == 0);
        check_equal(cgroup_tree_open(&t), 0);
        memory = cgroup_tree_find(&t, "memory");
        check(memory && memory->root == -EBADF);
        check_equal(cgroup_tree_has_slot(&t, 1), 0);
        cgroup_tree_close(&t);
}

int main(int argc, char *argv[]) {
        check(argc == 2);
        return streq(argv[1], "v2") ? test_in_cgroups(/* v2_only= */ true, test_v2)
                                    : test_in_cgroups(/* v2_only= */ false, test_hybrid);
}
