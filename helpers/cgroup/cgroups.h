/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What berth-cgroup does to the cgroups of one slot. Every function works beneath the tree's root descriptors; on failure it
 * has undone what it made and says in step what it was at. */

#include "cgroup-tree.h"
#include "slot.h"

typedef struct Step {
        char text[128]; /* "memory: owner of payload" */
} Step;

/* Notes the step; returns r. h may be NULL. */
int step_failed(Step *s, const Hierarchy *h, const char *what, int r);

/* The slot's folder in a hierarchy. -ENOENT. */
int slot_folder_open(const Hierarchy *h, const Slot *slot);

/* The bare or full v2 tree, without which nothing is killed or frozen. NULL if it is not there. */
const Hierarchy *unified(const CgroupTree *t);

/* SLOT, SLOT/supervisor, SLOT/payload everywhere, with their owners. -ENODEV: a hierarchy without a berth root, or no v2
 * tree; -EEXIST: they are there already. */
int cgroups_make(const CgroupTree *t, const Slot *slot, Step *step);

/* -EBUSY: processes in them. -ETIMEDOUT: there are more below payload than one call removes; call again. */
int cgroups_remove(const CgroupTree *t, const Slot *slot, Step *step);

#define LIMIT_KEEP INT64_MIN
#define LIMIT_NONE (-1)

typedef enum LimitKind {
        LIMIT_MEMORY, /* bytes */
        LIMIT_TASKS,
        LIMIT_WEIGHT, /* 1 to 10000 */
        _LIMIT_MAX,
} LimitKind;

/* -ENODEV: no such controller. */
int cgroups_limit(const CgroupTree *t, const Slot *slot, const int64_t limits[static _LIMIT_MAX], Step *step);

/* Waits until it is so. -ETIMEDOUT: it is not, and what was frozen runs again. */
int cgroups_freeze(const CgroupTree *t, const Slot *slot, bool frozen, Step *step);

/* Waits until no process is left. */
int cgroups_kill(const CgroupTree *t, const Slot *slot, Step *step);

/* By devices.deny and devices.allow where that hierarchy is mounted (needs SYS_ADMIN), else by a BPF program on the v2 tree
 * (needs BPF and NET_ADMIN). */
int cgroups_devices(const CgroupTree *t, const Slot *slot, Step *step);
