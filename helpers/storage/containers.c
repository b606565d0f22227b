/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How slots come, change and go.
 *
 * Create, clone: a new layer; the slot's folder complete in tmp/; the public record beside its place; then one rename makes
 * the slot, a second the public record. Until the first one there is only what nothing names.
 * Clone of a container as it is now: before that, the source gets a new writable layer on top, by which nothing that it holds
 * changes.
 * Seal of a container: a new layer, then the chain. Of an image: the public record is withdrawn, then one rename takes the
 * slot's folder among the images.
 * Rename: the public record is withdrawn, one rename replaces the record, a second publishes.
 * Destroy: the public record is withdrawn, one rename takes the slot's folder to tmp/, where it is taken apart; the layers
 * are left to CollectTrash. Remove of an image: the same without public record. */

#include "operations.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "mutation.h"
#include "public.h"
#include "slots.h"

static int count_entry(void *userdata, int folder, const char *name) {
        ++*(size_t *) userdata;
        return 0;
}

/* The slot with a new writable layer on top of base. */
static int make_on(Store *s, uint32_t slot, const Record *record, const Chain *base) {
        _cleanup_layer_ NewLayer layer = {};
        Chain chain;
        int r;

        r = chain_grow(s, base, &layer, &chain);
        if (r < 0)
                return r;
        r = slot_make(s, slot, record, &chain);
        if (r < 0)
                return r;

        new_layer_keep(&layer);
        return 0;
}

static int claim_free(Store *s, const SlotTable *t, SlotKind kind, const NewSlot *new, uint32_t *ret) {
        int r;

        r = store_claim(s, t, new->slot, ret);
        if (r < 0)
                return r;
        r = slot_check_free(s, *ret);
        if (r < 0)
                return r;

        return name_check_free(s, kind, new->name);
}

static Created created_of(const Record *record) {
        Created c = { .time = record->created };

        memcpy(c.id, record->creation, sizeof(c.id));
        return c;
}

int create_container(Store *s, const SlotTable *t, const NewSlot *new, const char *image, Created *ret) {
        _cleanup_holding_ Holding source = HOLDING_NONE;
        Chain base = {};
        Record record;
        uint32_t n;
        int r;

        r = claim_free(s, t, SLOT_CONTAINER, new, &n);
        if (r < 0)
                return r;
        if (image) {
                r = image_open(s, image, &source);
                if (r < 0)
                        return r;
                base = source.chain;
        }
        r = record_make(s, SLOT_CONTAINER, new->name, new->owner, image ?: "", &record);
        if (r < 0)
                return r;
        r = make_on(s, n, &record, &base);
        if (r < 0)
                return r;

        *ret = created_of(&record);
        return 0;
}

int create_image(Store *s, const SlotTable *t, const NewSlot *new, Created *ret) {
        size_t images = 0;
        Record record;
        uint32_t n;
        int r;

        r = claim_free(s, t, SLOT_IMAGE, new, &n);
        if (r < 0)
                return r;
        r = each_entry(s->images, ".", count_entry, &images);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "count the images", r);
        if (images >= IMAGES_MAX)
                return store_fail(s, STORE_LIMIT_REACHED, "images", -EMLINK);
        r = record_make(s, SLOT_IMAGE, new->name, new->owner, "", &record);
        if (r < 0)
                return r;
        r = make_on(s, n, &record, &(Chain) {});
        if (r < 0)
                return r;

        *ret = created_of(&record);
        return 0;
}

static int publish_image(Store *s, uint32_t slot, const Holding *h) {
        char name[SLOT_NAME_SIZE];
        int r;

        slot_name(slot, name);
        r = public_withdraw(s, slot);
        if (r < 0)
                return r;
        if (renameat2(s->slots, name, s->images, h->record.name, RENAME_NOREPLACE) < 0) {
                r = -errno;
                (void) store_fail(s, r == -EEXIST ? STORE_ALREADY_EXISTS : STORE_KERNEL, "publish the image", r);
        } else {
                /* First where it is now: a crash must not lose it in between. */
                r = sync_fd(s->images);
                if (r >= 0)
                        r = sync_fd(s->slots);
                if (r >= 0)
                        return 0;
                (void) store_fail(s, STORE_KERNEL, "publish the image", r);
                (void) renameat2(s->images, h->record.name, s->slots, name, RENAME_NOREPLACE);
        }

        public_restore(s, slot, &h->record);
        return r;
}

int seal(Store *s, const SlotTable *t, uint64_t slot) {
        _cleanup_holding_ Holding h = HOLDING_NONE;
        Chain sealed;
        uint32_t n;
        int r;

        r = store_claim(s, t, slot, &n);
        if (r < 0)
                return r;
        r = slot_open(s, n, &h);
        if (r < 0)
                return r;
        /* Sealed before, and asked again: nothing is to be done. */
        if (h.chain.n > 1)
                return 0;
        if (layer_is_empty(s, h.chain.layers[0]))
                return store_fail(s, STORE_BAD_RECORD, "nothing to seal", -ENOENT);
        /* What the worker has written becomes what others stand on: durable before anything says so. */
        if (syncfs(s->root) < 0)
                return store_fail(s, STORE_KERNEL, "sync the content", -errno);

        return h.record.kind == SLOT_IMAGE ? publish_image(s, n, &h) : chain_seal(s, &h, &sealed);
}

/* What the clone stands on. Without a snapshot the source may change: before is its chain for chain_unseal(). */
static int clone_base(Store *s, Holding *source, const char *snapshot, Chain *ret) {
        _cleanup_close_ int folder = -EBADF;
        uint64_t created;

        if (!snapshot)
                return chain_seal(s, source, ret);
        folder = open_folder(source->fd, "snapshots");
        if (folder < 0)
                return store_fail(s, STORE_BAD_RECORD, "open the snapshots", folder);

        return snapshot_open(s, folder, snapshot, &created, ret);
}

int clone_container(Store *s, const SlotTable *t, uint64_t slot, const char *snapshot, const NewSlot *new, Created *ret) {
        _cleanup_holding_ Holding source = HOLDING_NONE;
        Chain before, base;
        Record record;
        uint32_t n, target;
        int r;

        r = store_claim(s, t, slot, &n);
        if (r < 0)
                return r;
        r = claim_free(s, t, SLOT_CONTAINER, new, &target);
        if (r < 0)
                return r;
        r = slot_open_container(s, n, &source);
        if (r < 0)
                return r;
        r = record_make(s, SLOT_CONTAINER, new->name, new->owner, source.record.image, &record);
        if (r < 0)
                return r;

        before = source.chain;
        r = clone_base(s, &source, snapshot, &base);
        if (r < 0)
                return r;
        r = make_on(s, target, &record, &base);
        if (r < 0) {
                chain_unseal(s, &source, &before);
                return r;
        }

        *ret = created_of(&record);
        return 0;
}

/* record replaces that of the opened slot; old comes back if it cannot be made durable. */
static int record_replace(Store *s, int folder, const Record *record, const Record *old) {
        const Record *const records[] = { record, old };
        char text[RECORD_SIZE_MAX];
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(records); i++) {
                int k;

                k = write_new(s->tmp, "record", 0600, text, record_format(records[i], text));
                if (k >= 0 && renameat(s->tmp, "record", folder, "record") < 0)
                        k = -errno;
                if (k >= 0)
                        k = sync_fd(folder);
                if (i == 0 && k >= 0)
                        return 0;
                if (i == 0)
                        r = k;
                (void) unlinkat(s->tmp, "record", 0);
        }

        return store_fail(s, STORE_KERNEL, "replace the record", r);
}

int rename_container(Store *s, const SlotTable *t, uint64_t slot, const char *name) {
        _cleanup_holding_ Holding h = HOLDING_NONE;
        Record renamed;
        uint32_t n;
        int r;

        r = store_claim(s, t, slot, &n);
        if (r < 0)
                return r;
        r = slot_open_container(s, n, &h);
        if (r < 0)
                return r;
        /* Its own name: renamed before, and asked again. */
        r = streq(h.record.name, name) ? 0 : name_check_free(s, SLOT_CONTAINER, name);
        if (r < 0)
                return r;

        renamed = h.record;
        strcpy(renamed.name, name);
        r = public_withdraw(s, n);
        if (r < 0)
                return r;
        r = public_prepare(s, &renamed);
        if (r >= 0)
                r = record_replace(s, h.fd, &renamed, &h.record);
        if (r < 0) {
                public_restore(s, n, &h.record);
                return r;
        }

        r = public_publish(s, n);
        if (r < 0) {
                (void) record_replace(s, h.fd, &h.record, &h.record);
                public_restore(s, n, &h.record);
        }

        return r;
}

/* Takes a slot's or image's folder to tmp/ in one step and there apart. */
static int take_away(Store *s, int folder, const char *name) {
        int r;

        if (renameat2(folder, name, s->tmp, "slot", RENAME_NOREPLACE) < 0)
                return store_fail(s, STORE_KERNEL, "remove", -errno);
        r = sync_fd(folder);
        if (r < 0) {
                (void) renameat2(s->tmp, "slot", folder, name, RENAME_NOREPLACE);
                return store_fail(s, STORE_KERNEL, "remove", r);
        }

        /* Done; what is left in tmp/ is cleared by whoever comes next. */
        (void) tmp_clear(s);
        return 0;
}

int destroy(Store *s, const SlotTable *t, uint64_t slot, bool snapshots) {
        _cleanup_close_ int fd = -EBADF;
        char name[SLOT_NAME_SIZE];
        bool readable;
        Record record;
        size_t count = 0;
        uint32_t n;
        int r;

        r = store_claim(s, t, slot, &n);
        if (r < 0)
                return r;
        slot_name(n, name);
        fd = open_folder(s->slots, name);
        if (fd < 0)
                return store_fail(s, fd == -ENOENT ? STORE_NO_SUCH_SLOT : STORE_KERNEL, "look up", fd);
        r = each_entry(fd, "snapshots", count_entry, &count);
        if (r < 0 && r != -ENOENT)
                return store_fail(s, STORE_KERNEL, "count the snapshots", r);
        if (!MUTATION(storage_still_used) && count > 0 && !snapshots)
                return store_fail(s, STORE_STILL_USED, "snapshots", -ENOTEMPTY);

        /* A damaged slot can be destroyed like any other. */
        readable = record_read(fd, "record", &record) >= 0;
        r = public_withdraw(s, n);
        if (r < 0)
                return r;
        r = take_away(s, s->slots, name);
        if (r < 0 && readable)
                public_restore(s, n, &record);

        return r;
}

int remove_image(Store *s, const char *name) {
        struct stat st;

        if (!MUTATION(storage_name) && !name_is_valid(name))
                return store_fail(s, STORE_BAD_NAME, "image", -EINVAL);
        if (fstatat(s->images, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return store_fail(s, errno == ENOENT ? STORE_NO_SUCH_IMAGE : STORE_KERNEL, "look up", -errno);

        return take_away(s, s->images, name);
}
