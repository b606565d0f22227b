/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The container's /proc and /sys: fresh ones of its own namespaces, with masks.
 *
 * Runs in the first process, as root of the namespace. Every name is resolved from the descriptor of the file system that
 * was just made, so that nothing in the image can divert a mount. In a user namespace the kernel itself keeps root inside from
 * what is masked here (the files belong to the host's root); the masks keep it from everybody else inside, and from
 * programs that would be confused. Root inside could take them away. So that containers can be nested, there is an unmasked
 * instance of both below /dev/.berth, which only root inside reaches: the kernel lets a namespace mount proc and sysfs
 * only where it sees one entirely. */

#include "first.h"

#include "mutation.h"
#include "sys.h"

#include <stdio.h>
#include <sys/stat.h>

#define KERNEL_ATTRIBUTES (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

typedef enum Mask {
        MASK_HIDE,     /* /dev/null over a file, an empty folder over a folder */
        MASK_READONLY, /* itself, read-only */
} Mask;

typedef struct MaskEntry {
        const char *path;
        Mask mask;
} MaskEntry;

static const MaskEntry proc_masks[] = {
        { "acpi", MASK_HIDE },          { "kcore", MASK_HIDE },         { "keys", MASK_HIDE },
        { "latency_stats", MASK_HIDE }, { "sched_debug", MASK_HIDE },   { "scsi", MASK_HIDE },
        { "timer_list", MASK_HIDE },    { "bus", MASK_READONLY },       { "fs", MASK_READONLY },
        { "irq", MASK_READONLY },       { "sysrq-trigger", MASK_READONLY }, { "sys", MASK_READONLY },
};

static const MaskEntry sys_masks[] = {
        { "firmware", MASK_HIDE },
        { "devices/virtual/powercap", MASK_HIDE },
};

/* Below fs, which is a mount that we made; never through a link or into another mount. */
static int open_below(int fs, const char *path) {
        return sys_openat2(fs, path, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

static int clone_below(int fs, const char *path, uint64_t set, uint64_t clear, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = sys_open_tree(fs, path, OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW | (*path ? 0 : AT_EMPTY_PATH));
        if (fd < 0)
                return fd;
        r = sys_mount_setattr(fd, "", AT_EMPTY_PATH, set, clear, 0);
        if (r < 0)
                return r;
        *ret = TAKE_FD(fd);
        return 0;
}

static int apply_mask(int fs, const MaskEntry *e, int null, int empty) {
        _cleanup_close_ int target = -EBADF, cover = -EBADF;
        struct stat st;
        int r;

        target = open_below(fs, e->path);
        if (target == -ENOENT)
                return 0;
        if (target < 0)
                return target;
        if (fstat(target, &st) < 0)
                return -errno;
        if (e->mask == MASK_READONLY)
                r = clone_below(fs, e->path, KERNEL_ATTRIBUTES | MOUNT_ATTR_RDONLY, 0, &cover);
        else
                r = clone_below(S_ISDIR(st.st_mode) ? empty : null, "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY,
                                /* clear= */ 0, &cover);
        if (r < 0)
                return r;
        return sys_move_mount(cover, target, "");
}

/* Of one empty tmpfs, read-only, many binds are made. It must be attached to be cloned: it stays at dev/.berth/empty. */
static int attach_berth(int dev, const char *name, int mount) {
        char path[32];

        if (mkdirat(dev, ".berth", 0700) < 0 && errno != EEXIST)
                return -errno;
        (void) snprintf(path, sizeof(path), ".berth/%s", name);
        if (mkdirat(dev, path, 0700) < 0)
                return -errno;
        return sys_move_mount(mount, dev, path);
}

/* A part of a read-only tree that belongs to the container's own namespaces. */
static int make_writable(int fs, const char *path) {
        _cleanup_close_ int target = -EBADF, cover = -EBADF;
        int r;

        /* Through the read-only mount, if one covers it: it is ours as well. */
        target = sys_openat2(fs, path, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (target == -ENOENT)
                return 0;
        if (target < 0)
                return target;
        r = clone_below(target, "", KERNEL_ATTRIBUTES, MOUNT_ATTR_RDONLY, &cover);
        if (r < 0)
                return r;
        return sys_move_mount(cover, target, "");
}

int proc_build(int folder, int dev, int null, const char **ret_step) {
        static const char *const empty_options[] = { "mode", "0755", "nr_inodes", "2", NULL };
        _cleanup_close_ int proc = -EBADF, whole = -EBADF, empty = -EBADF;
        int r;

        STEP("mount /proc", mount_new("proc", NULL, KERNEL_ATTRIBUTES, &proc));
        STEP("mount /proc", sys_move_mount(proc, folder, ""));
        STEP("unmasked /proc", clone_below(proc, "", 0, 0, &whole));
        STEP("unmasked /proc", attach_berth(dev, "proc", whole));
        STEP("empty folder", mount_new("tmpfs", empty_options, KERNEL_ATTRIBUTES | MOUNT_ATTR_RDONLY, &empty));
        STEP("empty folder", attach_berth(dev, "empty", empty));
        for (size_t i = 0; i < ELEMENTSOF(proc_masks); i++)
                STEP("mask /proc", apply_mask(proc, &proc_masks[i], null, empty));
        STEP("mask /proc", make_writable(proc, "sys/net"));
        return 0;
}

/* "memory", "cpu,cpuacct", or the name of a hierarchy without controllers, as its mount point says. */
static int mount_hierarchy(const char *name, int *ret) {
        const char *options[2 * 8 + 1] = {};
        char words[64], *rest = words, *word;
        size_t n = 0;
        int r;

        (void) snprintf(words, sizeof(words), "%s", name);
        while ((word = strsep(&rest, ",")) && n + 2 < ELEMENTSOF(options)) {
                options[n] = word;
                n += 2;
        }
        /* Flags have no value, and NULL ends the list: so each key stands before a NULL of its own. */
        r = mount_new("cgroup", options, KERNEL_ATTRIBUTES, ret);
        if (r != -EINVAL && r != -ENOENT)
                return r;
        return mount_new("cgroup", (const char *const[]) { "none", NULL, "name", name, NULL }, KERNEL_ATTRIBUTES, ret);
}

static int attach_hierarchy(int cgroup, const Hierarchy *h) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (h->v2)
                r = mount_new("cgroup2", NULL, KERNEL_ATTRIBUTES, &fd);
        else
                r = mount_hierarchy(h->name, &fd);
        if (r < 0)
                return r;
        if (h->name[0] == '\0')
                return sys_move_mount(fd, cgroup, "");
        if (mkdirat(cgroup, h->name, 0755) < 0)
                return -errno;
        r = sys_move_mount(fd, cgroup, h->name);
        if (r < 0)
                return r;

        /* "cpu" and "cpuacct" beside "cpu,cpuacct". */
        if (strchr(h->name, ',')) {
                char words[64], *rest = words, *word;

                (void) snprintf(words, sizeof(words), "%s", h->name);
                while ((word = strsep(&rest, ",")))
                        if (symlinkat(h->name, cgroup, word) < 0 && errno != EEXIST)
                                return -errno;
        }
        return 0;
}

/* Only hierarchies in which this container has a cgroup: elsewhere it would see that of whoever started us. */
static int mount_cgroups(const Supervisor *s, int folder) {
        static const char *const options[] = { "mode", "0755", "size", "64K", NULL };
        _cleanup_close_ int top = -EBADF;
        int r;

        if (s->tree.n == 1 && s->tree.hierarchies[0].name[0] == '\0')
                return attach_hierarchy(folder, &s->tree.hierarchies[0]);
        r = mount_new("tmpfs", options, KERNEL_ATTRIBUTES, &top);
        if (r < 0)
                return r;
        r = sys_move_mount(top, folder, "");
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->tree.n; i++) {
                if (s->tree.hierarchies[i].root < 0)
                        continue;
                r = attach_hierarchy(top, &s->tree.hierarchies[i]);
                if (r < 0)
                        return r;
        }
        return sys_mount_setattr(top, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
}

int sys_build(const Supervisor *s, int folder, int dev, const char **ret_step) {
        _cleanup_close_ int sys = -EBADF, whole = -EBADF, empty = -EBADF, cgroup = -EBADF;
        int r;

        STEP("mount /sys", mount_new("sysfs", NULL, KERNEL_ATTRIBUTES, &sys));
        STEP("mount /sys", sys_move_mount(sys, folder, ""));
        STEP("unmasked /sys", clone_below(sys, "", 0, 0, &whole));
        STEP("unmasked /sys", attach_berth(dev, "sys", whole));
        STEP("open /sys/fs/cgroup", cgroup = open_below(sys, "fs/cgroup"));
        STEP("mount /sys/fs/cgroup", mount_cgroups(s, cgroup));
        STEP("mask /sys", sys_mount_setattr(sys, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0));
        STEP("mask /sys", make_writable(sys, "devices/virtual/net"));
        STEP("empty folder", empty = sys_openat2(dev, ".berth/empty", O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
        for (size_t i = 0; i < ELEMENTSOF(sys_masks); i++)
                STEP("mask /sys", apply_mask(sys, &sys_masks[i], /* null= */ -EBADF, empty));
        return 0;
}
