/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Removes a slot's cgroups with all that the container made below payload, however deep, and whatever it did to owners and
 * modes there: DAC_READ_SEARCH opens a folder, CHOWN makes it ours, so that rmdir() may. Only empty cgroups go. */

#include "cgroups.h"
#include "file.h"
#include "mutation.h"
#include "util.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* One call's share; what is left goes at the next. At some 30 µs each. */
/* The last process may be on its way out of its cgroup still, when its descriptors and its lock are gone. */
#define LAST_PROCESS_MS 50

#define REMOVED_MAX 50000

typedef struct Entry {
        char name[NAME_MAX + 1];
} Entry;

/* 1 and the first folder in it, or 0. */
static int first_folder(int folder, Entry *ret) {
        char buffer[32768] __attribute__((aligned(8)));

        if (lseek(folder, 0, SEEK_SET) < 0)
                return -errno;
        for (;;) {
                long n = syscall(SYS_getdents64, folder, buffer, sizeof(buffer));

                if (n <= 0)
                        return n < 0 ? -errno : 0;
                for (long at = 0; at < n;) {
                        const struct dirent64 *de = (const struct dirent64 *) (buffer + at);

                        at += de->d_reclen;
                        if (de->d_type != DT_DIR || streq(de->d_name, ".") || streq(de->d_name, ".."))
                                continue;
                        (void) snprintf(ret->name, sizeof(ret->name), "%s", de->d_name);
                        return 1;
                }
        }
}

static int make_ours(int folder) {
        struct stat st;

        if (fstat(folder, &st) < 0)
                return -errno;
        if (st.st_uid != geteuid() && fchown(folder, geteuid(), (gid_t) -1) < 0)
                return -errno;
        return (st.st_mode & 0700) == 0700 || fchmod(folder, 0755) >= 0 ? 0 : -errno;
}

static int go_down(int *current, const char *name) {
        _cleanup_close_ int below = -EBADF;
        int r;

        below = folder_open(*current, name);
        if (below < 0)
                return below;
        r = make_ours(below);
        if (r < 0)
                return r;
        (void) close_fd(*current);
        *current = TAKE_FD(below);
        return 0;
}

static int go_up(int *current) {
        int above;

        above = folder_open_parent(*current);
        if (above < 0)
                return above;
        (void) close_fd(*current);
        *current = above;
        return 0;
}

/* Depth first with one descriptor, so that depth costs nothing. A folder that cannot be removed and has none below it any
 * more holds processes. */
static int remove_below(int slot, unsigned *budget) {
        _cleanup_close_ int current = -EBADF;
        unsigned depth = 0;
        bool came_up = false;

        current = folder_open(slot, ".");
        if (current < 0)
                return current;
        for (;;) {
                Entry child;
                int r;

                r = first_folder(current, &child);
                if (r < 0)
                        return r;
                if (r == 0) {
                        if (depth == 0)
                                return 0;
                        r = go_up(&current);
                        if (r < 0)
                                return r;
                        depth--;
                        came_up = true;
                        continue;
                }
                if (*budget == 0)
                        return -ETIMEDOUT;
                if (unlinkat(current, child.name, AT_REMOVEDIR) >= 0) {
                        (*budget)--;
                        came_up = false;
                        continue;
                }
                if (errno != EBUSY || came_up)
                        return -errno;
                r = go_down(&current, child.name);
                if (r < 0)
                        return r;
                depth++;
        }
}

static int remove_in(const Hierarchy *h, const Slot *slot, unsigned *budget) {
        _cleanup_close_ int folder = -EBADF;
        char name[16];
        int r;

        folder = slot_folder_open(h, slot);
        if (folder < 0)
                return folder == -ENOENT ? 0 : folder;
        r = remove_below(folder, budget);
        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), "%" PRIu32, slot->number);
        return unlinkat(h->root, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Nothing is touched while a process is in them. */
static int check_empty(const CgroupTree *t, const Slot *slot) {
        _cleanup_close_ int folder = -EBADF;
        int r;

        if (!unified(t))
                return 0;
        folder = slot_folder_open(unified(t), slot);
        if (folder < 0)
                return folder == -ENOENT ? 0 : folder;
        r = events_wait(folder, "populated 0", LAST_PROCESS_MS);
        return r == -ETIMEDOUT ? -EBUSY : r;
}

int cgroups_remove(const CgroupTree *t, const Slot *slot, Step *step) {
        unsigned budget = REMOVED_MAX;
        int r;

        r = check_empty(t, slot);
        if (!MUTATION(cgroup_populated) && r < 0)
                return step_failed(step, /* h= */ NULL, "processes", r);
        for (size_t i = 0; i < t->n; i++) {
                r = remove_in(t->hierarchies + i, slot, &budget);
                if (r < 0)
                        return step_failed(step, t->hierarchies + i, "remove", r);
        }
        return 0;
}
