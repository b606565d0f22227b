/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The berth root in every mounted cgroup hierarchy: on v2, and in the v1 hierarchies name=systemd and unified, the
 * delegated cgroup of berth-containers.service if that is there, else "berth"; "berth" in all others. Fixed paths below
 * /sys/fs/cgroup, no symlink followed, each one's file system checked. */

#include <stdbool.h>
#include <stddef.h>

#define HIERARCHIES_MAX 24

typedef struct Hierarchy {
        char name[64]; /* of the mount point: "memory", "cpu,cpuacct", "systemd", "unified"; "" for plain v2 */
        bool v2;
        int root; /* O_PATH|O_DIRECTORY descriptor of the berth root, or -EBADF if there is none */
} Hierarchy;

typedef struct CgroupTree {
        Hierarchy hierarchies[HIERARCHIES_MAX];
        size_t n;
} CgroupTree;

/* -ENOENT if no hierarchy has a berth root. */
int cgroup_tree_open(CgroupTree *ret);
/* The same, but without any root it is 0 too: for the spawner, which makes them. */
int cgroup_tree_scan(CgroupTree *ret);
void cgroup_tree_close(CgroupTree *t);

/* A controller's hierarchy, by the comma-separated words of its name, or the v2 one for controller NULL; NULL if none. */
const Hierarchy *cgroup_tree_find(const CgroupTree *t, const char *controller);

/* Do the slot's cgroups exist in any hierarchy? 1, 0 or negative errno. */
int cgroup_tree_has_slot(const CgroupTree *t, unsigned slot);
