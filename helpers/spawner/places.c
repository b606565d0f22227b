/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Folders and lock files, made at the spawner's start, as root with CAP_CHOWN. Every parent is root's and nobody else may
 * write it, so no path can be moved under us. What is there already and is not as it must be ends the spawner: somebody's
 * folder in such a place would be believed by all helpers. */

#include "places.h"

#include "mutation.h"
#include "service.h"
#include "slot.h"
#include "users.h"
#include "util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

const Place places[] = {
        { "/run/berth",                "root",          "root",          0755 },
        { "/run/berth/helpers",        "root",          "root",          0755 },
        { "/run/berth/slots",          "root",          "berth",         0750 },
        { "/run/berth/containers",     "berth",         "berth",         0755 },
        { "/var/lib/berth",            "root",          "root",          0755 },
        { "/var/lib/berth/store",      "berth-storage", "berth-storage", 0700 },
        { "/var/lib/berth/slots",      "berth-storage", "berth-storage", 0755 },
        { "/var/lib/berth/containers", "berth",         "berth",         0700 },
        { "/var/lib/berth/grants",     "berth-grant",   "berth-grant",   0755 },
        {},
};

static int place_check(const Place *p, uid_t uid) {
        struct stat st;

        if (lstat(p->path, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                return -ENOTDIR;
        if (!MUTATION(spawner_place) && (st.st_uid != uid || (st.st_mode & 07777 & ~p->mode) != 0))
                return -EPERM;
        return 0;
}

static int place_make(const Place *p) {
        _cleanup_close_ int fd = -EBADF;
        uid_t uid;
        gid_t gid;
        int r;

        r = user_find(p->user, &uid, /* ret_gid= */ NULL);
        if (r < 0)
                return r;
        r = group_find(p->group, &gid);
        if (r < 0)
                return r;

        if (mkdir(p->path, 0700) < 0)
                return errno == EEXIST ? place_check(p, uid) : -errno;
        fd = open(p->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        /* The mode first: it is no longer ours to change afterwards. */
        if (fchmod(fd, p->mode) < 0 || fchown(fd, uid, gid) < 0) {
                r = -errno;
                (void) rmdir(p->path);
                return r;
        }
        return 0;
}

int places_make(void) {
        for (const Place *p = places; p->path; p++) {
                int r = place_make(p);

                if (r < 0) {
                        log_line("%s: must be a folder of %s, mode %o: %s", p->path, p->user, p->mode, strerror(-r));
                        return r;
                }
        }
        return 0;
}

static int lock_make(int folder, uint32_t slot, gid_t berth_gid) {
        _cleanup_close_ int fd = -EBADF;
        char name[16];

        (void) snprintf(name, sizeof(name), "%u", slot);
        fd = openat(folder, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return errno == EEXIST ? 0 : -errno;
        if (fchown(fd, 0, berth_gid) < 0 || fchmod(fd, 0640) < 0)
                return -errno;
        return 0;
}

int locks_make(gid_t berth_gid) {
        _cleanup_close_ int folder = -EBADF;
        SlotTable slots;
        int r;

        r = slot_table_load(&slots);
        if (r < 0) {
                log_line("/etc/subuid, /etc/subgid: %s", r == -ESRCH ? "no line for berth" : strerror(-r));
                return r;
        }
        folder = open("/run/berth/slots", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0)
                return -errno;
        for (uint32_t i = 0; i < slots.slots; i++) {
                r = lock_make(folder, i, berth_gid);
                if (r < 0) {
                        log_line("/run/berth/slots/%u: %s", i, strerror(-r));
                        return r;
                }
        }
        return 0;
}
