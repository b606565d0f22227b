/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The container's /dev: a tmpfs with six nodes of the host's, a devpts, shm and mqueue of its own.
 *
 * Runs in the first process, as root of the namespace. Nothing of the image is looked at: the tmpfs is ours until the pivot.
 * The nodes' sources are opened first and their type and number checked, so that no other file of the host's can stand in for one. */

#include "first.h"

#include "mutation.h"
#include "sys.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const struct {
        const char *name;
        unsigned major, minor;
} nodes[] = {
        { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct {
        const char *target, *name;
} links[] = {
        { "/proc/self/fd", "fd" },        { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
        { "/proc/self/fd/2", "stderr" },  { "pts/ptmx", "ptmx" },
};

static int make_file(int dev, const char *name) {
        _cleanup_close_ int fd = -EBADF;

        fd = openat(dev, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        return fd < 0 ? -errno : 0;
}

/* A detached mount of one of the host's nodes. */
static int clone_node(const char *name, unsigned major, unsigned minor, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        char path[32];
        int r;

        (void) snprintf(path, sizeof(path), "/dev/%s", name);
        fd = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!MUTATION(device_type) && (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(major, minor)))
                return -ENODEV;
        r = sys_mount_setattr(fd, "", AT_EMPTY_PATH, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, 0);
        if (r < 0)
                return r;
        *ret = TAKE_FD(fd);
        return 0;
}

static int bind_node(int dev, const char *name, unsigned major, unsigned minor, const char *target) {
        _cleanup_close_ int node = -EBADF;
        int r;

        r = clone_node(name, major, minor, &node);
        if (r < 0)
                return r;
        r = make_file(dev, target);
        if (r < 0)
                return r;
        return sys_move_mount(node, dev, target);
}

static int mount_below(int dev, const char *name, const char *type, const char *const options[], unsigned attributes) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = mount_new(type, options, attributes, &fd);
        if (r < 0)
                return r;
        if (mkdirat(dev, name, 0755) < 0)
                return -errno;
        return sys_move_mount(fd, dev, name);
}

static int make_links(int dev) {
        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                if (symlinkat(links[i].target, dev, links[i].name) < 0)
                        return -errno;
        return 0;
}

int dev_build(int *folder, int *ret_null, const char **ret_step) {
        static const char *const dev_options[] = { "mode", "0755", "size", "512K", "nr_inodes", "4096", NULL };
        static const char *const pts_options[] = { "newinstance", NULL, "gid", "5", "mode", "0620", "ptmxmode", "0666", "max",
                                                   "1024", NULL };
        static const char *const shm_options[] = { "mode", "1777", NULL };
        _cleanup_close_ int dev = -EBADF, null = -EBADF;
        int r;

        STEP("mount /dev", mount_new("tmpfs", dev_options, MOUNT_ATTR_NOSUID, &dev));
        STEP("mount /dev", sys_move_mount(dev, *folder, ""));
        for (size_t i = 0; i < ELEMENTSOF(nodes); i++)
                STEP("device node", bind_node(dev, nodes[i].name, nodes[i].major, nodes[i].minor, nodes[i].name));
        /* Until a console is held for it. An init that finds no terminal here goes on without. */
        STEP("console", bind_node(dev, "null", 1, 3, "console"));
        STEP("device links", make_links(dev));
        STEP("mount /dev/pts", mount_below(dev, "pts", "devpts", pts_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
        STEP("mount /dev/shm", mount_below(dev, "shm", "tmpfs", shm_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
        STEP("mount /dev/mqueue", mount_below(dev, "mqueue", "mqueue", NULL,
                                              MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
        STEP("device node", clone_node("null", 1, 3, &null));

        (void) close_fd(*folder);
        *folder = TAKE_FD(dev);
        *ret_null = TAKE_FD(null);
        return 0;
}
