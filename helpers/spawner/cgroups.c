/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The berth root of each cgroup hierarchy, made at the spawner's start, as root with CAP_CHOWN, and given to berth-cgroup.
 * Where systemd has delegated a cgroup (berth-containers.service) that one is the root, and nothing is made. */

#include "places.h"

#include "cgroup-tree.h"
#include "service.h"
#include "users.h"
#include "util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define ROOT "berth"
#define VALUE_MAX 4096

static int file_write(int folder, const char *name, const char *value) {
        _cleanup_close_ int fd = -EBADF;

        fd = openat(folder, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* One line without its end; "" for an empty file. */
static int file_read(int folder, const char *name, char ret[static VALUE_MAX]) {
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, ret, VALUE_MAX - 1);
        if (n < 0)
                return -errno;
        ret[n] = 0;
        ret[strcspn(ret, "\n")] = 0;
        return 0;
}

/* A v1 cpuset without processors or memory takes no process; a new one has neither. */
static int cpuset_fill(int mount, int root) {
        static const char *const names[] = { "cpuset.cpus", "cpuset.mems" };
        char value[VALUE_MAX];
        int r;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                r = file_read(root, names[i], value);
                if (r == -ENOENT) /* a hierarchy without cpuset */
                        return 0;
                if (r >= 0 && value[0] != 0)
                        continue;
                if (r >= 0)
                        r = file_read(mount, names[i], value);
                if (r >= 0)
                        r = file_write(root, names[i], value);
                if (r < 0)
                        return r;
        }
        return file_write(root, "cgroup.clone_children", "1");
}

/* Controllers for the children of this one, those that are there and can be had: what is missing is missing for all
 * containers, and berth-cgroup says so when a limit is asked for. */
static void controllers_enable(int mount, const char *name) {
        static const char *const wanted[] = { "memory", "pids", "cpu", "cpuset", "io" };
        char have[VALUE_MAX], value[16];
        int r;

        r = file_read(mount, "cgroup.controllers", have);
        if (r < 0) {
                log_line("cgroup %s: controllers: %s, ignoring", name, strerror(-r));
                return;
        }
        for (char *save = NULL, *word = strtok_r(have, " ", &save); word; word = strtok_r(NULL, " ", &save))
                for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
                        if (!streq(wanted[i], word))
                                continue;
                        (void) snprintf(value, sizeof(value), "+%s", word);
                        r = file_write(mount, "cgroup.subtree_control", value);
                        if (r < 0)
                                log_line("cgroup %s: %s: %s, ignoring", name, value, strerror(-r));
                }
}

/* On v2 its owner also says which controllers its children have, and moves processes between them. On v1 that needs no
 * more than the folder, and `tasks` stays root's. */
static int give_away(int root, bool v2, uid_t uid, gid_t gid) {
        static const char *const files[] = { "cgroup.procs", "cgroup.subtree_control", "cgroup.threads" };

        for (size_t i = 0; v2 && i < ELEMENTSOF(files); i++)
                if (fchownat(root, files[i], uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
        if (fchmod(root, 0755) < 0 || fchown(root, uid, gid) < 0)
                return -errno;
        return 0;
}

/* The kernel's own root folders have mode 0555. Root owns them, and so needs no capability to make room for a moment. */
static int folder_make(int mount) {
        struct stat st;
        int r = 0;

        if (mkdirat(mount, ROOT, 0700) >= 0 || errno == EEXIST)
                return 0;
        if (errno != EACCES || fstat(mount, &st) < 0 || fchmod(mount, st.st_mode | S_IWUSR) < 0)
                return -errno;
        if (mkdirat(mount, ROOT, 0700) < 0 && errno != EEXIST)
                r = -errno;
        if (fchmod(mount, st.st_mode) < 0 && r >= 0)
                r = -errno;
        return r;
}

static int root_make(const Hierarchy *h, uid_t uid, gid_t gid) {
        _cleanup_close_ int mount = -EBADF, root = -EBADF;
        char path[128];
        struct stat st;
        int r;

        (void) snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", h->name);
        mount = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (mount < 0)
                return -errno;
        r = h->root < 0 ? folder_make(mount) : 0;
        if (r < 0)
                return r;
        root = openat(mount, ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (root < 0)
                return h->root >= 0 && errno == ENOENT ? 0 : -errno; /* delegated by systemd */
        if (fstat(root, &st) < 0)
                return -errno;

        if (h->v2)
                controllers_enable(mount, h->name);
        else {
                /* Before it is given away: without CAP_DAC_OVERRIDE root may write what is root's. */
                r = cpuset_fill(mount, root);
                if (r < 0)
                        return r;
        }
        return st.st_uid == uid ? 0 : give_away(root, h->v2, uid, gid);
}

int cgroup_roots_make(void) {
        CgroupTree tree;
        uid_t uid;
        gid_t gid;
        int r;

        r = user_find("berth-cgroup", &uid, &gid);
        if (r < 0) {
                log_line("user berth-cgroup: %s", strerror(-r));
                return r;
        }
        r = cgroup_tree_scan(&tree);
        if (r < 0) {
                log_line("/sys/fs/cgroup: %s", strerror(-r));
                return r;
        }
        for (size_t i = 0; i < tree.n && r >= 0; i++) {
                r = root_make(tree.hierarchies + i, uid, gid);
                if (r < 0)
                        log_line("cgroup %s: %s", tree.hierarchies[i].name, strerror(-r));
        }
        cgroup_tree_close(&tree);
        return r;
}
