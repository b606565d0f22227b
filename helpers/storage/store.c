/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See store.h. User berth-storage, no capability. The only content of others that is ever looked at is whether a layer has a
 * "tree", by a stat of one fixed name. */

#include "store.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "mutation.h"
#include "text.h"

#define STORE_PATH "/var/lib/berth/store"
#define PUBLIC_PATH "/var/lib/berth/slots"
#define LOCKS_PATH "/run/berth/slots"

/* tmp/ holds a slot's or image's folder at most: folder, snapshots, links. */
#define OWN_DEPTH_MAX 3U

static const char *const error_names[_STORE_ERROR_MAX] = {
        [STORE_KERNEL] = "Kernel",
        [STORE_BAD_SLOT] = "BadSlot",
        [STORE_BAD_NAME] = "BadName",
        [STORE_ALREADY_EXISTS] = "AlreadyExists",
        [STORE_NO_SUCH_SLOT] = "NoSuchSlot",
        [STORE_NO_SUCH_IMAGE] = "NoSuchImage",
        [STORE_NO_SUCH_SNAPSHOT] = "NoSuchSnapshot",
        [STORE_BUSY] = "Busy",
        [STORE_STILL_USED] = "StillUsed",
        [STORE_LIMIT_REACHED] = "LimitReached",
        [STORE_BAD_RECORD] = "BadRecord",
};

const char *store_error_name(StoreError error) {
        assert(error < _STORE_ERROR_MAX);

        return error_names[error];
}

int store_fail(Store *s, StoreError error, const char *step, int r) {
        if (!s->step) {
                s->error = error;
                s->step = step;
                s->cause = r;
        }

        return r;
}

int sync_fd(int fd) {
        return fsync(fd) < 0 ? -errno : 0;
}

int open_folder(int parent, const char *name) {
        int fd;

        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int read_link(int folder, const char *name, char *ret, size_t size) {
        ssize_t n;

        n = readlinkat(folder, name, ret, size);
        if (n < 0)
                return -errno;
        if (n == 0 || (size_t) n >= size || memchr(ret, '\0', (size_t) n))
                return -EUCLEAN;
        ret[n] = '\0';

        return 0;
}

int write_new(int folder, const char *name, mode_t mode, const char *text, size_t size) {
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0)
                return -errno;
        n = write(fd, text, size);
        if (n < 0)
                return -errno;
        if ((size_t) n != size)
                return -ENOSPC;

        return sync_fd(fd);
}

void slot_name(uint32_t slot, char ret[static SLOT_NAME_SIZE]) {
        (void) snprintf(ret, SLOT_NAME_SIZE, "%" PRIu32, slot);
}

int slot_name_parse(const char *name, uint32_t *ret) {
        uint64_t n;

        if (span_to_unsigned((Span) { name, strlen(name) }, SLOTS_MAX - 1, &n) < 0)
                return -EUCLEAN;

        *ret = (uint32_t) n;
        return 0;
}

int each_entry(int parent, const char *name, int (*callback)(void *userdata, int folder, const char *name), void *userdata) {
        _cleanup_close_ int folder = -EBADF;
        /* getdents64() itself: a DIR costs three more calls and 32 KiB, some thousand times in a List. */
        _Alignas(struct dirent64) char buffer[8192];
        ssize_t size;
        int r;

        folder = open_folder(parent, name);
        if (folder < 0)
                return folder;
        while ((size = getdents64(folder, buffer, sizeof(buffer))) > 0)
                for (ssize_t at = 0; at < size;) {
                        const struct dirent64 *entry = (const struct dirent64 *) (buffer + at);

                        at += entry->d_reclen;
                        if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                                continue;
                        r = callback(userdata, folder, entry->d_name);
                        if (r < 0)
                                return r;
                }

        return size < 0 ? -errno : 0;
}

/* Only for what berth-storage itself has made: links, records and the folders around them. */
static int remove_own(void *userdata, int folder, const char *name) {
        unsigned *depth = userdata, inner = *depth - 1;
        int r;

        if (unlinkat(folder, name, 0) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        if (*depth == 0)
                return -ELOOP;
        r = each_entry(folder, name, remove_own, &inner);
        if (r < 0)
                return r;

        return unlinkat(folder, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int tmp_clear(Store *s) {
        unsigned depth = OWN_DEPTH_MAX;

        if (unlinkat(s->public_slots, PUBLIC_NEW, 0) < 0 && errno != ENOENT)
                return -errno;

        return each_entry(s->tmp, ".", remove_own, &depth);
}

/* A folder of the store that is made when it is not there yet. */
static int open_or_make(int root, const char *name, bool *made) {
        if (mkdirat(root, name, 0700) >= 0)
                *made = true;
        else if (errno != EEXIST)
                return -errno;

        return open_folder(root, name);
}

static int open_own(const char *path, mode_t forbidden) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open_folder(AT_FDCWD, path);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_uid != geteuid() || (st.st_mode & forbidden))
                return -EPERM;

        return TAKE_FD(fd);
}

static int store_open_folders(Store *s) {
        const struct {
                const char *name;
                int *fd;
        } folders[] = {
                { "layers", &s->layers }, { "slots", &s->slots }, { "images", &s->images },
                { "trash", &s->trash }, { "tmp", &s->tmp },
        };
        bool made = false;

        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                *folders[i].fd = open_or_make(s->root, folders[i].name, &made);
                if (*folders[i].fd < 0)
                        return *folders[i].fd;
        }
        s->lock = openat(s->root, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (s->lock < 0)
                return -errno;

        return made ? sync_fd(s->root) : 0;
}

int store_open(Store *s) {
        int r;

        s->root = open_own(STORE_PATH, 0077);
        if (s->root < 0)
                return store_fail(s, STORE_KERNEL, "open the store", s->root);
        s->public_slots = open_own(PUBLIC_PATH, 0022);
        if (s->public_slots < 0)
                return store_fail(s, STORE_KERNEL, "open the public records", s->public_slots);
        s->slot_locks = open_folder(AT_FDCWD, LOCKS_PATH);
        if (s->slot_locks < 0)
                return store_fail(s, STORE_KERNEL, "open the slots' locks", s->slot_locks);
        r = cgroup_tree_open(&s->cgroups);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "open the cgroups", r);
        r = store_open_folders(s);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "open the store's folders", r);

        return 0;
}

int store_lock(Store *s, bool exclusive) {
        struct flock lock = { .l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
        int r;

        /* Who holds it has a deadline, and so have we: both are the spawner's. */
        if (fcntl(s->lock, F_SETLKW, &lock) < 0)
                return store_fail(s, STORE_BUSY, "lock the store", -errno);
        if (!exclusive)
                return 0;
        r = tmp_clear(s);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "clear what was left", r);

        return 0;
}

int store_claim(Store *s, const SlotTable *table, uint64_t number, uint32_t *ret) {
        Slot slot;
        int r;

        r = slot_by_number(table, number, &slot);
        if (r < 0)
                return store_fail(s, STORE_BAD_SLOT, "slot", r);
        assert(s->n_held < ELEMENTSOF(s->held));
        r = slot_lock_shared(s->slot_locks, slot.number, &s->held[s->n_held]);
        if (r < 0 && !MUTATION(storage_slot_lock))
                return store_fail(s, r == -EBUSY ? STORE_BUSY : STORE_KERNEL, "slot lock", r);
        s->n_held++;
        r = cgroup_tree_has_slot(&s->cgroups, slot.number);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "slot cgroups", r);
        if (r > 0 && !MUTATION(storage_slot_cgroups))
                return store_fail(s, STORE_BUSY, "slot cgroups", -EBUSY);

        *ret = slot.number;
        return 0;
}

void store_release(Store *s) {
        while (s->n_held > 0) {
                s->n_held--;
                closep(&s->held[s->n_held]);
        }
}

static void layer_discard(Store *s, uint64_t id) {
        char name[LAYER_NAME_SIZE];
        int fd;

        layer_name(id, name);
        fd = open_folder(s->layers, name);
        if (fd >= 0)
                (void) unlinkat(fd, "content", AT_REMOVEDIR);
        (void) close_fd(fd);
        (void) unlinkat(s->layers, name, AT_REMOVEDIR);
}

int layer_create(Store *s, NewLayer *ret) {
        _cleanup_layer_ NewLayer layer = {};
        _cleanup_close_ int fd = -EBADF;
        char name[LAYER_NAME_SIZE];
        int r;

        if (getrandom(&layer.id, sizeof(layer.id), 0) != sizeof(layer.id))
                return store_fail(s, STORE_KERNEL, "make a layer", -EIO);
        layer_name(layer.id, name);
        /* EEXIST too is a failure: with 64 random bits it does not happen by chance. */
        if (mkdirat(s->layers, name, 0755) < 0)
                return store_fail(s, STORE_KERNEL, "make a layer", -errno);
        layer.store = s;
        fd = open_folder(s->layers, name);
        if (fd < 0)
                return store_fail(s, STORE_KERNEL, "make a layer", fd);
        if (mkdirat(fd, "content", 0755) < 0)
                return store_fail(s, STORE_KERNEL, "make a layer", -errno);
        r = sync_fd(fd);
        if (r >= 0)
                r = sync_fd(s->layers);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "sync a layer", r);

        *ret = layer;
        new_layer_keep(&layer);
        return 0;
}

void new_layer_keep(NewLayer *l) {
        l->store = NULL;
}

void new_layer_done(NewLayer *l) {
        if (l->store)
                layer_discard(l->store, l->id);
}

bool layer_is_empty(Store *s, uint64_t id) {
        _cleanup_close_ int fd = -EBADF;
        char name[LAYER_NAME_SIZE];
        struct stat st;

        layer_name(id, name);
        fd = open_folder(s->layers, name);
        if (fd < 0)
                return false;

        return fstatat(fd, "content/tree", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}
