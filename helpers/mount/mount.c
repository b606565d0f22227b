/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth-mount - returns detached, ID-mapped mounts of what the store holds for a slot.
 *
 * User berth-mount with CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, in the host's mount namespace, for one call. Believes nobody:
 * the slot follows from who owns the user namespace, what belongs to the slot from berth-storage's record. The most it
 * can do for whoever asks is to give a supervisor what is its own: its writable layer, and read-only layers that nobody can
 * make writable. Its seccomp list has no call that reads a file.
 * Interface: org.berth1.Mount.varlink. Policy: docs/threat-model.md, "berth-mount". */

#include "helper.h"
#include "lock.h"
#include "mutation.h"
#include "store.h"

#include "mount-seccomp.h"
#include "org.berth1.Mount.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* MS_PRIVATE of <sys/mount.h>, which cannot be included beside <linux/mount.h>. */
#define PROPAGATION_PRIVATE (1 << 18)

static Store arg_store = { -EBADF, 0 };
static int arg_store_error; /* why there is none */

typedef struct Request {
        int userns;
        Slot slot;
} Request;

static void request_done(Request *q) {
        q->userns = close_fd(q->userns);
}

/* A mount for each layer of a chain: the writable one first. */
typedef struct Mounts {
        int fds[CHAIN_MAX];
        size_t n;
} Mounts;

static void mounts_done(Mounts *m) {
        while (m->n > 0)
                (void) close(m->fds[--m->n]);
}

static int store_error(Call *call, const char *step, int r) {
        switch (r) {
        case -ENOENT:
                return call_error(call, "NoSuchSlot", step, r);
        case -EUCLEAN:
        case -ELOOP:
        case -ENOTDIR:
        case -EXDEV:
                return call_error(call, "BadRecord", step, r);
        default:
                return call_error(call, "Kernel", step, r);
        }
}

/* Whose namespace it is. Answers on failure. */
static int request_decode(Call *call, Request *q) {
        static const Field fields[] = {
                { "userNamespaceFileDescriptor", FIELD_DESCRIPTOR, offsetof(Request, userns), 0, 0, 0 },
                {},
        };
        int r;

        r = call_decode(call, fields, q);
        if (r < 0)
                return r;
        r = slot_of_userns(&call->slots, &call->userns, q->userns, &q->slot);
        if (r < 0)
                return call_error(call, "BadNamespace", "owner", r);
        if (arg_store_error < 0)
                return call_error(call, "Kernel", "open store", arg_store_error);

        return 0;
}

/* A detached clone of one folder's mount, away from all propagation. */
static int clone_folder(int folder, int userns, uint64_t flags) {
        struct mount_attr attr = {
                .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | flags,
                .propagation = PROPAGATION_PRIVATE,
                .userns_fd = (uint64_t) userns,
        };
        _cleanup_close_ int mount = -EBADF;

        mount = (int) syscall(SYS_open_tree, folder, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        if (mount < 0)
                return -errno;
        if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                return -errno;

        return TAKE_FD(mount);
}

/* Is the namespace mapped to the slot's range? Who owns the folder says it: on disk, and through the mount. Only berth-idmap
 * maps a supervisor's namespace to anything but the supervisor's own ID, and it maps the whole range or nothing; through a
 * map that is missing (which Linux 6.1 takes) or the supervisor's own, no owner comes out within the range. */
static int check_mapping(int folder, int mount, const Slot *slot) {
        struct stat disk, seen;

        if (fstat(folder, &disk) < 0 || fstat(mount, &seen) < 0)
                return -errno;
        if (disk.st_uid >= RANGE_SIZE || disk.st_gid >= RANGE_SIZE)
                return -EOVERFLOW;
        if (!MUTATION(mapping) && (seen.st_uid != slot->base + disk.st_uid || seen.st_gid != slot->base + disk.st_gid))
                return -EPERM;

        return 0;
}

/* Answers on failure. */
static int mount_writable(Call *call, const Request *q, int folder, int *ret) {
        _cleanup_close_ int mount = -EBADF;
        int r;

        mount = clone_folder(folder, q->userns, 0);
        if (mount < 0)
                return call_error(call, "Kernel", "ID-mapped mount", mount);
        r = check_mapping(folder, mount, &q->slot);
        if (r < 0)
                return call_error(call, "BadNamespace", "mapping", r);

        *ret = TAKE_FD(mount);
        return 0;
}

static int mount_writable_layer(Call *call, const Request *q, const Chain *chain, int *ret) {
        _cleanup_close_ int folder = -EBADF;
        int r;

        r = store_open_writable(&arg_store, chain->ids[0], &folder);
        if (r < 0)
                return store_error(call, "writable layer", r);

        return mount_writable(call, q, folder, ret);
}

static int mount_layers(Call *call, const Request *q, const Chain *chain, Mounts *m) {
        const char *step;
        int r;

        r = mount_writable_layer(call, q, chain, &m->fds[0]);
        if (r < 0)
                return r;
        m->n = 1;

        for (size_t i = 1; i < chain->n; i++) {
                _cleanup_close_ int folder = -EBADF;

                r = store_open_layer(&arg_store, chain->ids[i], &folder);
                if (r < 0)
                        return store_error(call, "layer", r);
                r = clone_folder(folder, q->userns, MOUNT_ATTR_RDONLY);
                if (r < 0)
                        return call_error(call, "Kernel", "ID-mapped mount", r);
                m->fds[m->n++] = r;
        }

        r = lock_mounts(m->fds + 1, m->n - 1, &step);
        return r < 0 ? call_error(call, "Kernel", step, r) : 0;
}

static int handle_layers(Call *call) {
        _cleanup_(request_done) Request q = { .userns = -EBADF };
        _cleanup_(mounts_done) Mounts m = {};
        json_t *layers;
        Chain chain;
        int r;

        r = request_decode(call, &q);
        if (r < 0)
                return r;
        r = store_read_chain(&arg_store, q.slot.number, &chain);
        if (r < 0)
                return store_error(call, "chain", r);
        if (chain.n < 2)
                return call_error(call, "NoSuchSlot", "nothing below the writable layer", -ENOENT);
        r = mount_layers(call, &q, &chain, &m);
        if (r < 0)
                return r;

        layers = json_array();
        for (size_t i = 1; i < m.n; i++)
                if (json_array_append_new(layers, json_integer((json_int_t) i)) < 0) {
                        json_decref(layers);
                        return -ENOMEM;
                }
        return call_reply(call, json_pack("{s:i, s:o}", "writableFileDescriptor", 0, "layerFileDescriptors", layers), m.fds,
                          m.n);
}

static int handle_writable(Call *call) {
        _cleanup_(request_done) Request q = { .userns = -EBADF };
        _cleanup_close_ int mount = -EBADF;
        Chain chain;
        int r;

        r = request_decode(call, &q);
        if (r < 0)
                return r;
        r = store_read_chain(&arg_store, q.slot.number, &chain);
        if (r < 0)
                return store_error(call, "chain", r);
        r = mount_writable_layer(call, &q, &chain, &mount);
        if (r < 0)
                return r;

        return call_reply(call, json_pack("{s:i}", "writableFileDescriptor", 0), &mount, 1);
}

static int handle_trash(Call *call) {
        _cleanup_(request_done) Request q = { .userns = -EBADF };
        _cleanup_close_ int folder = -EBADF, mount = -EBADF;
        int r;

        r = request_decode(call, &q);
        if (r < 0)
                return r;
        r = store_open_trash(&arg_store, q.slot.number, &folder);
        if (r < 0)
                return store_error(call, "trash", r);
        r = mount_writable(call, &q, folder, &mount);
        if (r < 0)
                return r;

        return call_reply(call, json_pack("{s:i}", "trashFileDescriptor", 0), &mount, 1);
}

static int prepare(uint64_t *capabilities) {
        arg_store_error = store_open(&arg_store);
        return 0;
}

#define ROW (CAP_BIT(SYS_ADMIN) | CAP_BIT(DAC_READ_SEARCH))

static const Method methods[] = {
        /* method                          handler          fds  capabilities kept for it */
        { "org.berth1.Mount.MountLayers",   handle_layers,   1,   ROW },
        { "org.berth1.Mount.MountWritable", handle_writable, 1,   ROW },
        { "org.berth1.Mount.MountTrash",    handle_trash,    1,   ROW },
        {},
};

int main(int argc, char *argv[]) {
        return helper_main(argc, argv, &(const Helper) {
                .name = "berth-mount",
                .interface = "org.berth1.Mount",
                .description = mount_description,
                .methods = methods,
                .capabilities = ROW,
                .seccomp = &mount_seccomp,
                .prepare = prepare,
        });
}
