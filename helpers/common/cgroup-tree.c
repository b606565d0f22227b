/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The berth root in every mounted cgroup hierarchy.
 *
 * Runs in helpers and in the supervisor's root stage, before anything is read from a peer. Believes only what root has
 * mounted below /sys/fs/cgroup: each step is one name below the last, no symbolic link is followed, and what is not a
 * cgroup file system is not a hierarchy. It can open folders with O_PATH, and nothing else. */

#include "cgroup-tree.h"

#include "util.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define CGROUP_MOUNTS "/sys/fs/cgroup"
#define ROOT_DELEGATED_SLICE "berth.slice"
#define ROOT_DELEGATED_UNIT "berth-containers.service"
#define ROOT_OWN "berth"

/* Mount points are crossed only from the folder of mounts to a hierarchy. */
#define BELOW (RESOLVE_BENEATH | RESOLVE_NO_XDEV)

static int open_folder(int parent, const char *name, uint64_t resolve) {
        const struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
                .resolve = RESOLVE_NO_SYMLINKS | resolve,
        };
        int fd;

        fd = (int) syscall(SYS_openat2, parent, name, &how, sizeof(how));
        return fd < 0 ? -errno : fd;
}

/* 1 or 2; 0 for a file system that is none of cgroups. */
static int cgroup_version(int fd) {
        struct statfs sfs;

        if (fstatfs(fd, &sfs) < 0)
                return -errno;
        if (sfs.f_type == CGROUP_SUPER_MAGIC)
                return 1;
        return sfs.f_type == CGROUP2_SUPER_MAGIC ? 2 : 0;
}

/* Returns the descriptor, or -EBADF in *ret if there is no berth root here. */
static int open_root(int mount, bool delegated, int *ret) {
        _cleanup_close_ int slice = -EBADF;
        int fd;

        if (delegated) {
                slice = open_folder(mount, ROOT_DELEGATED_SLICE, BELOW);
                if (slice < 0 && slice != -ENOENT)
                        return slice;
                if (slice >= 0) {
                        fd = open_folder(slice, ROOT_DELEGATED_UNIT, BELOW);
                        if (fd < 0 && fd != -ENOENT)
                                return fd;
                        if (fd >= 0) {
                                *ret = fd;
                                return 0;
                        }
                }
        }

        fd = open_folder(mount, ROOT_OWN, BELOW);
        if (fd < 0 && fd != -ENOENT)
                return fd;
        *ret = fd < 0 ? -EBADF : fd;
        return 0;
}

static int add_hierarchy(CgroupTree *t, int mount, const char *name, bool v2) {
        Hierarchy *h;
        int r;

        if (t->n >= HIERARCHIES_MAX)
                return -E2BIG;
        if (strlen(name) >= sizeof(h->name))
                return -ENAMETOOLONG;
        h = &t->hierarchies[t->n];
        *h = (Hierarchy) { .v2 = v2, .root = -EBADF };
        memcpy(h->name, name, strlen(name) + 1);
        r = open_root(mount, v2 || streq(name, "systemd"), &h->root);
        if (r < 0)
                return r;
        t->n++;
        return 0;
}

static int add_mounts(CgroupTree *t, int mounts) {
        _cleanup_close_ int copy = -EBADF;
        const struct dirent *de;
        DIR *d;
        int r = 0;

        copy = openat(mounts, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (copy < 0)
                return -errno;
        d = fdopendir(copy);
        if (!d)
                return -errno;
        TAKE_FD(copy);

        while (r >= 0) {
                _cleanup_close_ int mount = -EBADF;

                errno = 0;
                de = readdir(d);
                if (!de) {
                        r = -errno;
                        break;
                }
                if (de->d_name[0] == '.' || de->d_type != DT_DIR) /* "cpu -> cpu,cpuacct" is a link */
                        continue;
                mount = open_folder(mounts, de->d_name, RESOLVE_BENEATH);
                if (mount < 0) {
                        r = mount;
                        break;
                }
                r = cgroup_version(mount);
                if (r > 0)
                        r = add_hierarchy(t, mount, de->d_name, r == 2);
        }
        (void) closedir(d);
        return r;
}

static bool has_root(const CgroupTree *t) {
        for (size_t i = 0; i < t->n; i++)
                if (t->hierarchies[i].root >= 0)
                        return true;
        return false;
}

static int fill(CgroupTree *t) {
        _cleanup_close_ int mounts = -EBADF;
        int r;

        mounts = open_folder(AT_FDCWD, CGROUP_MOUNTS, 0);
        if (mounts < 0)
                return mounts;
        r = cgroup_version(mounts);
        if (r < 0)
                return r;
        return r == 2 ? add_hierarchy(t, mounts, "", true) : add_mounts(t, mounts);
}

int cgroup_tree_scan(CgroupTree *ret) {
        CgroupTree t = {};
        int r;

        r = fill(&t);
        if (r < 0) {
                cgroup_tree_close(&t);
                return r;
        }
        *ret = t;
        return 0;
}

int cgroup_tree_open(CgroupTree *ret) {
        CgroupTree t;
        int r;

        r = cgroup_tree_scan(&t);
        if (r < 0)
                return r;
        if (!has_root(&t)) {
                cgroup_tree_close(&t);
                return -ENOENT;
        }
        *ret = t;
        return 0;
}

void cgroup_tree_close(CgroupTree *t) {
        for (size_t i = 0; i < t->n; i++)
                t->hierarchies[i].root = close_fd(t->hierarchies[i].root);
        t->n = 0;
}

static bool has_word(const char *words, const char *word) {
        size_t n = strlen(word);

        for (const char *p = words; *p; p += strcspn(p, ","), p += *p == ',')
                if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
                        return true;
        return false;
}

const Hierarchy *cgroup_tree_find(const CgroupTree *t, const char *controller) {
        for (size_t i = 0; i < t->n; i++) {
                const Hierarchy *h = &t->hierarchies[i];

                if (controller ? !h->v2 && has_word(h->name, controller) : h->v2)
                        return h;
        }
        return NULL;
}

int cgroup_tree_has_slot(const CgroupTree *t, unsigned slot) {
        char name[16];

        (void) snprintf(name, sizeof(name), "%u", slot);
        for (size_t i = 0; i < t->n; i++) {
                _cleanup_close_ int fd = -EBADF;

                if (t->hierarchies[i].root < 0)
                        continue;
                fd = open_folder(t->hierarchies[i].root, name, BELOW);
                if (fd >= 0)
                        return 1;
                if (fd != -ENOENT)
                        return fd;
        }
        return 0;
}
