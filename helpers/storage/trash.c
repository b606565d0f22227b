/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mark and sweep. Layers that no chain, snapshot or image names are moved, one rename each, into the content folder of a
 * slot, where a worker deletes them. Nothing is deleted here but folders that are empty.
 *
 * Collect: the trash slot appears empty, by one rename; then layer after layer moves in. After a crash the slot holds some of
 * them, the others are still found. Release: the folder becomes a layer that nothing names, which goes if it is empty. */

#include "operations.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "mutation.h"
#include "public.h"
#include "walk.h"
#include "slots.h"

typedef struct Sweep {
        Store *store;
        LayerSet used;
        bool published[SLOTS_MAX]; /* slots whose public record is to be there */
        uint32_t slot;
        int content; /* the trash slot's, -EBADF until something is put there */
        uint64_t entries;
} Sweep;

static void sweep_done(Sweep *sweep) {
        layer_set_done(&sweep->used);
        sweep->content = close_fd(sweep->content);
}

static int mark(Sweep *sweep, const Chain *chain) {
        int r;

        if (!chain)
                return store_fail(sweep->store, STORE_BAD_RECORD, "damaged chain", -EUCLEAN);
        r = layer_set_add(&sweep->used, chain);

        return r < 0 ? store_fail(sweep->store, STORE_KERNEL, "memory", r) : 0;
}

static int mark_image(void *userdata, const char *name, const Record *record, const Chain *chain) {
        return mark(userdata, chain);
}

static int mark_snapshot(void *userdata, const char *name, uint64_t created, const Chain *chain) {
        return mark(userdata, chain);
}

static int mark_slot(void *userdata, uint32_t slot, const Record *record, const Chain *chain) {
        Sweep *sweep = userdata;
        int r;

        r = mark(sweep, chain);
        if (r < 0 || !record)
                return r;
        sweep->published[slot] = true;
        if (public_exists(sweep->store, slot))
                return 0;
        r = public_prepare(sweep->store, record);

        return r < 0 ? r : public_publish(sweep->store, slot);
}

static int mark_trash(void *userdata, uint32_t slot) {
        return 0;
}

/* A record of a slot that is not there. None comes about, but nobody may be taken for another if one did. */
static int sweep_public(void *userdata, int folder, const char *name) {
        Sweep *sweep = userdata;
        uint32_t slot;

        if (slot_name_parse(name, &slot) >= 0 && !sweep->published[slot])
                (void) unlinkat(folder, name, 0);
        return 0;
}

static int make_trash_slot(Sweep *sweep) {
        Store *s = sweep->store;
        _cleanup_close_ int fd = -EBADF;
        char name[SLOT_NAME_SIZE];
        int r;

        slot_name(sweep->slot, name);
        if (mkdirat(s->tmp, "trash", 0755) < 0)
                return -errno;
        fd = open_folder(s->tmp, "trash");
        if (fd < 0)
                return fd;
        if (mkdirat(fd, "content", 0755) < 0)
                return -errno;
        sweep->content = open_folder(fd, "content");
        if (sweep->content < 0)
                return sweep->content;
        r = sync_fd(fd);
        if (r < 0)
                return r;
        if (renameat2(s->tmp, "trash", s->trash, name, RENAME_NOREPLACE) < 0)
                return -errno;

        return sync_fd(s->trash);
}

/* 1: gone. */
static int remove_empty(Store *s, const char *name) {
        _cleanup_close_ int fd = -EBADF;

        fd = open_folder(s->layers, name);
        if (fd < 0)
                return fd;
        if (unlinkat(fd, "content", AT_REMOVEDIR) < 0 && errno != ENOENT)
                return errno == ENOTEMPTY || errno == EEXIST ? 0 : -errno;

        return unlinkat(s->layers, name, AT_REMOVEDIR) < 0 ? -errno : 1;
}

static int sweep_layer(void *userdata, int folder, const char *name) {
        Sweep *sweep = userdata;
        Store *s = sweep->store;
        uint64_t id;
        int r;

        if (layer_parse(name, &id) < 0 || layer_set_has(&sweep->used, id))
                return 0;
        r = remove_empty(s, name);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "remove an empty layer", r);
        if (r > 0)
                return 0;

        if (sweep->content < 0) {
                r = make_trash_slot(sweep);
                if (r < 0)
                        return store_fail(s, STORE_KERNEL, "make the trash slot", r);
        }
        if (renameat2(s->layers, name, sweep->content, name, RENAME_NOREPLACE) < 0)
                return store_fail(s, STORE_KERNEL, "move a layer", -errno);
        sweep->entries++;

        return 0;
}

int collect_trash(Store *s, const SlotTable *t, uint64_t slot, uint64_t *ret_entries) {
        _cleanup_(sweep_done) Sweep sweep = { .store = s, .content = -EBADF };
        const Visitor visitor = { mark_image, mark_snapshot, mark_slot, mark_trash, &sweep };
        int r;

        r = store_claim(s, t, slot, &sweep.slot);
        if (r < 0)
                return r;
        r = slot_check_free(s, sweep.slot);
        if (r < 0)
                return r;
        r = walk_store(s, &visitor);
        if (r >= 0)
                r = each_entry(s->public_slots, ".", sweep_public, &sweep);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "look through the store", r);

        layer_set_sort(&sweep.used);
        r = each_entry(s->layers, ".", sweep_layer, &sweep);
        if (r >= 0 && sweep.content >= 0) {
                r = sync_fd(sweep.content);
                if (r >= 0)
                        r = sync_fd(s->layers);
        }
        /* What has been moved stays where it is: in a slot that holds trash, which is how a crash would leave it. But half
         * a success is told as one only if there is something to delete. */
        if (r < 0 && sweep.entries == 0) {
                char name[SLOT_NAME_SIZE];

                slot_name(sweep.slot, name);
                (void) renameat2(s->trash, name, s->tmp, "trash", RENAME_NOREPLACE);
                (void) tmp_clear(s);
                return store_fail(s, STORE_KERNEL, "look through the layers", r);
        }

        *ret_entries = sweep.entries;
        return 0;
}

int release_trash(Store *s, const SlotTable *t, uint64_t slot) {
        char name[SLOT_NAME_SIZE], layer[LAYER_NAME_SIZE];
        uint64_t id;
        uint32_t n;
        int r;

        r = store_claim(s, t, slot, &n);
        if (r < 0)
                return r;
        if (getrandom(&id, sizeof(id), 0) != sizeof(id))
                return store_fail(s, STORE_KERNEL, "release the trash", -EIO);
        slot_name(n, name);
        layer_name(id, layer);
        if (renameat2(s->trash, name, s->layers, layer, RENAME_NOREPLACE) < 0)
                return store_fail(s, errno == ENOENT ? STORE_NO_SUCH_SLOT : STORE_KERNEL, "release the trash", -errno);

        /* What was deleted to the end goes at once, the rest when it is collected again. Where the move is not durable
         * the trash is in its slot again after a crash: no reason to say that it failed. */
        (void) remove_empty(s, layer);
        (void) sync_fd(s->layers);
        (void) sync_fd(s->trash);
        return 0;
}
