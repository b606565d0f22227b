/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Makes a slot's cgroups and gives them away: ROOT/SLOT stays ours, the supervisor's place is root's to join, payload/ is the
 * container's. Needs CHOWN. Believes nobody's names: all are constants and the slot's number. */

#include "cgroups.h"
#include "file.h"
#include "mutation.h"
#include "util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define TEXT_MAX 4096

/* How far a container may nest, and how many cgroups it may make: each costs the kernel memory, and Remove() time. */
#define DEPTH_MAX "64"
#define DESCENDANTS_MAX "4096"

int step_failed(Step *s, const Hierarchy *h, const char *what, int r) {
        (void) snprintf(s->text, sizeof(s->text), "%s%s%s", h ? (h->name[0] ? h->name : "v2") : "", h ? ": " : "", what);
        return r;
}

static void slot_name(const Slot *slot, char ret[static 16]) {
        (void) snprintf(ret, 16, "%" PRIu32, slot->number);
}

int slot_folder_open(const Hierarchy *h, const Slot *slot) {
        char name[16];

        if (h->root < 0)
                return -ENOENT;
        slot_name(slot, name);
        return folder_open(h->root, name);
}

const Hierarchy *unified(const CgroupTree *t) {
        const Hierarchy *h = cgroup_tree_find(t, /* controller= */ NULL);

        return h && h->root >= 0 ? h : NULL;
}

/* Whatever of these the folder's parent lets it hand on, for its children. */
static int enable_controllers(int folder) {
        static const char *const wanted[] = { "memory", "pids", "cpu", "cpuset", "io" };
        char available[TEXT_MAX], enabled[TEXT_MAX], text[64] = "";
        int r;

        r = file_read(folder, "cgroup.controllers", available, sizeof(available));
        if (r < 0)
                return r;
        r = file_read(folder, "cgroup.subtree_control", enabled, sizeof(enabled));
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                if (text_has_word(available, wanted[i]) && !text_has_word(enabled, wanted[i])) {
                        strcat(text, text[0] ? " +" : "+");
                        strcat(text, wanted[i]);
                }
        return text[0] ? file_write(folder, "cgroup.subtree_control", text) : 0;
}

/* A fresh cpuset of v1 lets nobody in until it has processors and memory nodes. */
static int fill_cpuset(int parent, int folder) {
        static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                char text[TEXT_MAX];
                int r;

                r = file_read(folder, files[i], text, sizeof(text));
                if (r < 0)
                        return r;
                if (text[0])
                        continue; /* the parent's clone_children did it */
                r = file_read(parent, files[i], text, sizeof(text));
                if (r < 0)
                        return r;
                if (!text[0])
                        return -ENODATA;
                r = file_write(folder, files[i], text);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool is_controller(const Hierarchy *h, const char *controller) {
        const CgroupTree one = { .hierarchies = { *h }, .n = 1 };

        return cgroup_tree_find(&one, controller);
}

static int make_folder(const Hierarchy *h, int parent, const char *name, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (mkdirat(parent, name, 0755) < 0)
                return -errno;
        fd = folder_open(parent, name);
        if (fd < 0)
                return fd;
        if (!h->v2 && is_controller(h, "cpuset")) {
                r = fill_cpuset(parent, fd);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_FD(fd);
        return 0;
}

/* Where the root stage, uid 0 without any right over others' files, puts itself: on v2 it is born in supervisor/, since
 * only leaves may hold processes there; v1 has no such rule, and each folder less is one less to make and to remove. */
static int make_supervisor(const Hierarchy *h, int folder) {
        _cleanup_close_ int supervisor = -EBADF;
        int r;

        if (!h->v2)
                return file_give(folder, "tasks", 0, 0, /* group_writes= */ false);
        r = make_folder(h, folder, "supervisor", &supervisor);
        if (r < 0)
                return r;
        return file_give(supervisor, "cgroup.procs", 0, 0, /* group_writes= */ false);
}

/* Joined by the supervisor's children, hence S; moved about in by the container's root, hence BASE. The folder comes last. A v1
 * freezer is not handed on: what is frozen there cannot be killed, and only its folder's owner can thaw it. */
static int give_payload(const Hierarchy *h, int folder, const Slot *slot) {
        const char *second = h->v2 ? "cgroup.threads" : "tasks";
        int r;

        r = file_give(folder, "cgroup.procs", slot->supervisor, slot->base, /* group_writes= */ true);
        if (r < 0)
                return r;
        if (h->v2) {
                r = file_give(folder, second, slot->base, slot->base, /* group_writes= */ false);
                if (r < 0)
                        return r;
                r = file_give(folder, "cgroup.subtree_control", slot->base, slot->base, /* group_writes= */ false);
        } else
                r = file_give(folder, second, slot->supervisor, slot->base, /* group_writes= */ true);
        if (r < 0)
                return r;
        if (!MUTATION(cgroup_freezer) && !h->v2 && is_controller(h, "freezer"))
                return 0;
        return fchown(folder, slot->base, slot->base) < 0 ? -errno : 0;
}

/* What holds for the whole slot, and the container cannot reach. */
static int bound(const Hierarchy *h, int folder, const Slot *slot) {
        int r;

        if (!h->v2)
                return 0;
        r = enable_controllers(folder);
        if (r < 0)
                return r;
        r = file_write(folder, "cgroup.max.depth", DEPTH_MAX);
        if (r < 0)
                return r;
        r = file_write(folder, "cgroup.max.descendants", DESCENDANTS_MAX);
        if (r < 0)
                return r;
        return file_give(folder, "cgroup.procs", slot->supervisor, (gid_t) -1, /* group_writes= */ false);
}

static int fill_slot(const Hierarchy *h, int folder, const Slot *slot, Step *step) {
        _cleanup_close_ int payload = -EBADF;
        int r;

        r = bound(h, folder, slot);
        if (r < 0)
                return step_failed(step, h, "bounds of the slot", r);
        r = make_supervisor(h, folder);
        if (r < 0)
                return step_failed(step, h, "make supervisor", r);
        r = make_folder(h, folder, "payload", &payload);
        if (r < 0)
                return step_failed(step, h, "make payload", r);
        r = give_payload(h, payload, slot);
        if (r < 0)
                return step_failed(step, h, "owner of payload", r);
        return 0;
}

static void unmake(const Hierarchy *h, const char *name) {
        _cleanup_close_ int folder = -EBADF;

        folder = folder_open(h->root, name);
        if (folder >= 0) {
                (void) unlinkat(folder, "payload", AT_REMOVEDIR);
                (void) unlinkat(folder, "supervisor", AT_REMOVEDIR);
        }
        (void) unlinkat(h->root, name, AT_REMOVEDIR);
}

static int make_in(const Hierarchy *h, const Slot *slot, Step *step) {
        _cleanup_close_ int folder = -EBADF;
        char name[16];
        int r;

        slot_name(slot, name);
        if (h->v2) {
                r = enable_controllers(h->root);
                if (r < 0)
                        return step_failed(step, h, "controllers of the root", r);
        }
        if (mkdirat(h->root, name, 0755) < 0)
                return step_failed(step, h, "make the slot", -errno);
        folder = folder_open(h->root, name);
        r = folder;
        if (r >= 0 && !h->v2 && is_controller(h, "cpuset"))
                r = fill_cpuset(h->root, folder);
        if (r < 0)
                (void) step_failed(step, h, "fill the slot", r);
        else
                r = fill_slot(h, folder, slot, step);
        if (r < 0)
                unmake(h, name);
        return r;
}

int cgroups_make(const CgroupTree *t, const Slot *slot, Step *step) {
        char name[16];
        int r = 0;
        size_t i;

        slot_name(slot, name);
        if (!unified(t))
                return step_failed(step, /* h= */ NULL, "v2 tree", -ENODEV);
        /* A hierarchy that the container did not join would leave it in its starter's cgroup there. */
        for (i = 0; i < t->n; i++)
                if (!MUTATION(cgroup_root) && t->hierarchies[i].root < 0)
                        return step_failed(step, t->hierarchies + i, "berth root", -ENODEV);

        for (i = 0; i < t->n && r >= 0; i++)
                r = make_in(t->hierarchies + i, slot, step);
        if (r < 0)
                for (i--; i > 0; i--) /* the one that failed has undone its own */
                        unmake(t->hierarchies + i - 1, name);
        return r;
}
