/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The container's root: layers, overlay, and the way into it.
 *
 * Runs in the first process, as root of the container's user namespace, in a mount namespace of its own. The layers' content
 * is hostile; so is what berthd says it sends. Layers are attached below a tmpfs that nobody else sees; within the
 * finished overlay each name is resolved by descriptor, without links, and a wrong kind of file ends the start. */

#include "first.h"

#include "mutation.h"
#include "sys.h"
#include "text.h"

#include <stdio.h>
#include <sys/stat.h>

#define SCRATCH "/run/berth"
#define MOUNTS_SIZE_MAX (1U << 20)

int mount_new(const char *type, const char *const options[], unsigned attributes, int *ret) {
        _cleanup_close_ int fs = -EBADF;
        int r;

        fs = sys_fsopen(type);
        if (fs < 0)
                return fs;
        for (const char *const *o = options; o && *o; o += 2) {
                r = sys_fsconfig(fs, o[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, o[0], o[1]);
                if (r < 0)
                        return r;
        }
        r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", type);
        if (r < 0)
                return r;
        r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
        if (r < 0)
                return r;
        r = sys_fsmount(fs, attributes);
        if (r < 0)
                return r;
        *ret = r;
        return 0;
}

int root_folder(int root, const char *name, int *ret) {
        const uint64_t links = MUTATION(root_links) ? 0 : RESOLVE_NO_SYMLINKS;
        int fd;

        if (mkdirat(root, name, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = sys_openat2(root, name, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV | links);
        if (fd < 0)
                return fd;
        *ret = fd;
        return 0;
}

static int attach_layer(int scratch, const char *name, int layer) {
        struct stat st;

        if (fstat(layer, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                return -ENOTDIR;
        if (mkdirat(scratch, name, 0700) < 0)
                return -errno;
        return sys_move_mount(layer, scratch, name);
}

/* The writable layer's two folders: overlay's own words are not followed anywhere else. */
static int prepare_writable(int writable) {
        static const char *const names[] = { "tree", "work" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_close_ int fd = -EBADF;
                int r;

                r = root_folder(writable, names[i], &fd);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* By mount(2) with names relative to the scratch folder: a string of fsconfig() holds 255 bytes, an absolute path a layer
 * would not do for 64. */
static int mount_overlay(int scratch, size_t n_lower, int *ret) {
        char options[1024];
        int n = 0, fd, r;

        if (fchdir(scratch) < 0 || mkdirat(scratch, "root", 0700) < 0)
                return -errno;
        for (size_t i = 0; i < n_lower; i++)
                n += snprintf(options + n, sizeof(options) - (size_t) n, "%s%zu", i == 0 ? "lowerdir=" : ":", i + 1);
        (void) snprintf(options + n, sizeof(options) - (size_t) n, ",upperdir=0/tree,workdir=0/work,userxattr");

        r = sys_mount("overlay", "root", "overlay", MS_NODEV, options);
        if (r < 0)
                return r;
        fd = sys_openat2(scratch, "root", O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (fd < 0)
                return fd;
        *ret = fd;
        return 0;
}

/* Over a folder of ours that nothing here needs. Not over "/": what lies on the old root would be taken away in its stead. */
static int mount_scratch(int *ret) {
        const char *const options[] = { "mode", "0700", NULL };
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = mount_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &fd);
        if (r < 0)
                return r;
        r = sys_move_mount(fd, AT_FDCWD, SCRATCH);
        if (r < 0)
                return r;
        *ret = TAKE_FD(fd);
        return 0;
}

static int mount_run(int folder) {
        const char *const options[] = { "mode", "0755", NULL };
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = mount_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &fd);
        if (r < 0)
                return r;
        return sys_move_mount(fd, folder, "");
}

/* Is this the mount point of something that we made? "/" is so once. */
static bool is_ours(Span point, unsigned *roots) {
        static const char *const tops[] = { "/dev", "/proc", "/sys", "/run" };

        if (span_is(point, "/"))
                return (*roots)++ == 0;
        for (size_t i = 0; i < ELEMENTSOF(tops); i++) {
                size_t n = strlen(tops[i]);

                if (point.n >= n && memcmp(point.s, tops[i], n) == 0 && (point.n == n || point.s[n] == '/'))
                        return true;
        }
        return false;
}

/* Whoever enters the namespace later (Execute) comes out on the topmost mount of its root, which our own "/" does not show:
 * so the kernel's list must have nothing but what was made here. */
static int prove_root(void) {
        _cleanup_free_ char *text = NULL;
        unsigned roots = 0;
        Span rest, line;
        size_t size;
        int r;

        r = text_read("/proc/self/mountinfo", MOUNTS_SIZE_MAX, &text, &size);
        if (r < 0)
                return r;
        rest = (Span) { text, size };
        while (span_cut(&rest, '\n', &line)) {
                Span field = {};

                for (int i = 0; i < 5; i++) /* the fifth */
                        if (!span_cut(&line, ' ', &field))
                                return -EUCLEAN;
                if (!is_ours(field, &roots))
                        return -EXDEV;
        }
        return roots == 1 ? 0 : -EXDEV;
}

/* The old root comes to lie on top of the new one and is taken away with all that is mounted in it. Then the tree is shared
 * again, as an init expects that finds itself in a container. */
static int pivot(int root) {
        int r;

        if (fchdir(root) < 0)
                return -errno;
        r = sys_pivot_root(".", ".");
        if (r < 0)
                return r;
        r = sys_umount2(".", MNT_DETACH);
        if (r < 0)
                return r;
        if (chdir("/") < 0)
                return -errno;
        return sys_mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL);
}

static int build_overlay(const int *layers, size_t n_layers, int *ret_root, const char **ret_step) {
        _cleanup_close_ int scratch = -EBADF;
        char name[8];
        int r;

        STEP("layers", n_layers >= 2 && n_layers <= LAYERS_MAX + 1 ? 0 : -EINVAL);
        STEP("scratch", mount_scratch(&scratch));
        for (size_t i = 0; i < n_layers; i++) {
                (void) snprintf(name, sizeof(name), "%zu", i);
                STEP(i == 0 ? "writable layer" : "layer", attach_layer(scratch, name, layers[i]));
        }
        STEP("writable layer", prepare_writable(layers[0]));
        STEP("overlay", mount_overlay(scratch, n_layers - 1, ret_root));
        return 0;
}

int root_build(const Supervisor *s, const int *layers, size_t n_layers, const char **ret_step) {
        _cleanup_close_ int root = -EBADF, dev = -EBADF, null = -EBADF, proc = -EBADF, sys = -EBADF, run = -EBADF;
        int r;

        STEP("propagation", sys_mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL));
        (void) umask(0);
        r = build_overlay(layers, n_layers, &root, ret_step);
        if (r < 0)
                return r;

        STEP("open /dev", root_folder(root, "dev", &dev));
        r = dev_build(&dev, &null, ret_step);
        if (r < 0)
                return r;
        STEP("open /proc", root_folder(root, "proc", &proc));
        r = proc_build(proc, dev, null, ret_step);
        if (r < 0)
                return r;
        STEP("open /sys", root_folder(root, "sys", &sys));
        r = sys_build(s, sys, dev, ret_step);
        if (r < 0)
                return r;
        STEP("open /run", root_folder(root, "run", &run));
        STEP("mount /run", mount_run(run));
        STEP("pivot", pivot(root));
        STEP("old root", prove_root());
        return 0;
}
