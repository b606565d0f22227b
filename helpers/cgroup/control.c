/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits, freezing and killing, on files that are ours and that no container reaches. No capability, but DAC_READ_SEARCH to get
 * into a payload folder whose owner has shut it. Freezing and killing are the v2 tree's, which every process of a slot is in
 * also where controllers are v1's. */

#include "cgroups.h"
#include "file.h"
#include "mutation.h"
#include "util.h"

#include <inttypes.h>
#include <stdio.h>

#define TEXT_MAX 4096
#define FREEZE_MILLISECONDS 5000
#define KILL_MILLISECONDS 10000

typedef struct Limit {
        const char *controller, *v2_file, *v1_file, *v1_none;
} Limit;

static const Limit limit_table[_LIMIT_MAX] = {
        [LIMIT_MEMORY] = { "memory", "memory.max", "memory.limit_in_bytes", "-1" },
        [LIMIT_TASKS] = { "pids", "pids.max", "pids.max", "max" },
        [LIMIT_WEIGHT] = { "cpu", "cpu.weight", "cpu.shares", /* there is no such thing */ NULL },
};

typedef struct Change {
        const Hierarchy *hierarchy;
        const char *file;
        int folder;
        char old[64], new[64];
} Change;

static void changes_done(Change (*changes)[_LIMIT_MAX]) {
        for (size_t i = 0; i < _LIMIT_MAX; i++)
                closep(&(*changes)[i].folder);
}

/* The kernel's own conversion: weight 100 is 1024 shares; never less than 2. */
static int64_t shares_of_weight(int64_t weight) {
        return MAX((weight * 1024 + 50) / 100, 2);
}

static int plan_limit(const CgroupTree *t, const Slot *slot, LimitKind kind, int64_t value, Change *c) {
        const Limit *l = limit_table + kind;
        bool v2 = false;
        int r;

        c->hierarchy = cgroup_tree_find(t, l->controller);
        if (!c->hierarchy) {
                c->hierarchy = unified(t);
                v2 = true;
        }
        if (!c->hierarchy)
                return -ENODEV;
        c->folder = slot_folder_open(c->hierarchy, slot);
        if (c->folder < 0)
                return c->folder;
        c->file = v2 ? l->v2_file : l->v1_file;
        r = file_read(c->folder, c->file, c->old, sizeof(c->old));
        if (r < 0)
                return r == -ENOENT ? -ENODEV : r;

        if (kind == LIMIT_WEIGHT && !v2)
                value = shares_of_weight(value);
        if (value == LIMIT_NONE)
                (void) snprintf(c->new, sizeof(c->new), "%s", v2 ? "max" : l->v1_none);
        else
                (void) snprintf(c->new, sizeof(c->new), "%" PRId64, value);
        return 0;
}

int cgroups_limit(const CgroupTree *t, const Slot *slot, const int64_t limits[static _LIMIT_MAX], Step *step) {
        _cleanup_(changes_done) Change changes[_LIMIT_MAX] = {};
        size_t n;
        int r = 0;

        for (size_t i = 0; i < _LIMIT_MAX; i++)
                changes[i].folder = -EBADF;
        for (size_t i = 0; i < _LIMIT_MAX; i++) {
                if (limits[i] == LIMIT_KEEP)
                        continue;
                r = plan_limit(t, slot, (LimitKind) i, limits[i], changes + i);
                if (r < 0)
                        return step_failed(step, /* h= */ NULL, limit_table[i].controller, r);
        }

        for (n = 0; n < _LIMIT_MAX && r >= 0; n++)
                if (changes[n].file) {
                        r = file_write(changes[n].folder, changes[n].file, changes[n].new);
                        if (r < 0)
                                (void) step_failed(step, changes[n].hierarchy, changes[n].file, r);
                }
        if (r < 0)
                for (n--; n > 0; n--)
                        if (changes[n - 1].file)
                                (void) file_write(changes[n - 1].folder, changes[n - 1].file, changes[n - 1].old);
        return r;
}

/* Descriptor of the slot's folder in the v2 tree. */
static int open_unified(const CgroupTree *t, const Slot *slot, Step *step) {
        const Hierarchy *h = unified(t);
        int r;

        if (!h)
                return step_failed(step, /* h= */ NULL, "v2 tree", -ENODEV);
        r = slot_folder_open(h, slot);
        return r < 0 ? step_failed(step, h, "slot", r) : r;
}

int cgroups_freeze(const CgroupTree *t, const Slot *slot, bool frozen, Step *step) {
        _cleanup_close_ int folder = -EBADF, payload = -EBADF;
        int r;

        folder = open_unified(t, slot, step);
        if (folder < 0)
                return folder;
        payload = folder_open(folder, "payload");
        if (payload < 0)
                return step_failed(step, /* h= */ NULL, "payload", payload);
        r = file_write(payload, "cgroup.freeze", frozen ? "1" : "0");
        if (r < 0)
                return step_failed(step, /* h= */ NULL, "cgroup.freeze", r);
        r = events_wait(payload, frozen ? "frozen 1" : "frozen 0", FREEZE_MILLISECONDS);
        if (r < 0 && frozen)
                (void) file_write(payload, "cgroup.freeze", "0");
        return r < 0 ? step_failed(step, /* h= */ NULL, frozen ? "frozen" : "thawed", r) : 0;
}

int cgroups_kill(const CgroupTree *t, const Slot *slot, Step *step) {
        _cleanup_close_ int folder = -EBADF;
        int r;

        folder = open_unified(t, slot, step);
        if (folder < 0)
                return folder == -ENOENT ? 0 : folder;
        r = file_write(folder, "cgroup.kill", "1");
        if (r < 0)
                return step_failed(step, /* h= */ NULL, "cgroup.kill", r);
        r = events_wait(folder, "populated 0", KILL_MILLISECONDS);
        return r < 0 ? step_failed(step, /* h= */ NULL, "processes", r) : 0;
}
