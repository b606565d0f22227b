/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See slots.h. */

#include "slots.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "mutation.h"
#include "public.h"

void holding_done(Holding *h) {
        h->fd = close_fd(h->fd);
}

int record_read(int folder, const char *path, Record *ret) {
        _cleanup_close_ int fd = -EBADF;
        char text[RECORD_SIZE_MAX + 1];
        ssize_t n;

        fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return errno == ELOOP ? -EUCLEAN : -errno;
        n = read(fd, text, sizeof(text));
        if (n < 0)
                return -errno;

        return record_parse(text, (size_t) n, ret);
}

int chain_read(int folder, Chain *ret) {
        char text[CHAIN_TEXT_SIZE];
        int r;

        r = read_link(folder, "chain", text, sizeof(text));

        return r < 0 ? r : chain_parse(text, ret);
}

static int holding_open(Store *s, int folder, const char *name, StoreError missing, Holding *ret) {
        _cleanup_holding_ Holding h = HOLDING_NONE;
        int r;

        h.fd = open_folder(folder, name);
        if (h.fd == -ENOENT)
                return store_fail(s, missing, "look up", h.fd);
        if (h.fd < 0)
                return store_fail(s, STORE_KERNEL, "look up", h.fd);
        r = record_read(h.fd, "record", &h.record);
        if (r < 0)
                return store_fail(s, STORE_BAD_RECORD, "read the record", r);
        r = chain_read(h.fd, &h.chain);
        if (r < 0)
                return store_fail(s, STORE_BAD_RECORD, "read the chain", r);

        *ret = h;
        h.fd = -EBADF;
        return 0;
}

int slot_open(Store *s, uint32_t slot, Holding *ret) {
        char name[SLOT_NAME_SIZE];

        slot_name(slot, name);

        return holding_open(s, s->slots, name, STORE_NO_SUCH_SLOT, ret);
}

int slot_open_container(Store *s, uint32_t slot, Holding *ret) {
        _cleanup_holding_ Holding h = HOLDING_NONE;
        int r;

        r = slot_open(s, slot, &h);
        if (r < 0)
                return r;
        if (!MUTATION(storage_kind) && h.record.kind != SLOT_CONTAINER)
                return store_fail(s, STORE_BAD_SLOT, "not a container", -EINVAL);
        /* One layer is one that is still being unpacked into: nobody may stand on it. */
        if (!MUTATION(storage_sealed) && h.chain.n < 2)
                return store_fail(s, STORE_BAD_SLOT, "not sealed", -EINVAL);

        *ret = h;
        h.fd = -EBADF;
        return 0;
}

int image_open(Store *s, const char *name, Holding *ret) {
        if (!MUTATION(storage_name) && !name_is_valid(name))
                return store_fail(s, STORE_BAD_NAME, "image", -EINVAL);

        return holding_open(s, s->images, name, STORE_NO_SUCH_IMAGE, ret);
}

int slot_check_free(Store *s, uint32_t slot) {
        const int folders[] = { s->slots, s->trash };
        char name[SLOT_NAME_SIZE];
        struct stat st;

        slot_name(slot, name);
        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                if (fstatat(folders[i], name, &st, AT_SYMLINK_NOFOLLOW) >= 0) {
                        if (!MUTATION(storage_slot_free))
                                return store_fail(s, STORE_ALREADY_EXISTS, "slot", -EEXIST);
                } else if (errno != ENOENT)
                        return store_fail(s, STORE_KERNEL, "slot", -errno);
        }

        return 0;
}

typedef struct NameSearch {
        SlotKind kind;
        const char *name;
} NameSearch;

static int name_compare(void *userdata, int folder, const char *entry) {
        NameSearch *search = userdata;
        char path[SLOT_NAME_SIZE + sizeof("/record")];
        Record record;
        uint32_t slot;

        if (slot_name_parse(entry, &slot) < 0)
                return 0;
        (void) snprintf(path, sizeof(path), "%s/record", entry);
        /* A damaged record has no name that could be taken. */
        if (record_read(folder, path, &record) < 0)
                return 0;

        return record.kind == search->kind && streq(record.name, search->name) ? -EEXIST : 0;
}

int name_check_free(Store *s, SlotKind kind, const char *name) {
        NameSearch search = { kind, name };
        struct stat st;
        int r;

        if (!MUTATION(storage_name) && !name_is_valid(name))
                return store_fail(s, STORE_BAD_NAME, "name", -EINVAL);
        if (MUTATION(storage_name_taken))
                return 0;
        if (kind == SLOT_IMAGE) {
                if (fstatat(s->images, name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                        return store_fail(s, STORE_ALREADY_EXISTS, "name", -EEXIST);
                if (errno != ENOENT)
                        return store_fail(s, STORE_KERNEL, "name", -errno);
        }
        r = each_entry(s->slots, ".", name_compare, &search);
        if (r < 0)
                return store_fail(s, r == -EEXIST ? STORE_ALREADY_EXISTS : STORE_KERNEL, "name", r);

        return 0;
}

int record_make(Store *s, SlotKind kind, const char *name, uid_t owner, const char *image, Record *ret) {
        Record record = { .kind = kind, .owner = owner };
        uint64_t random[2];
        struct timespec now;

        if (getrandom(random, sizeof(random), 0) != sizeof(random) || clock_gettime(CLOCK_REALTIME, &now) < 0)
                return store_fail(s, STORE_KERNEL, "make a record", -EIO);
        layer_name(random[0], record.creation);
        layer_name(random[1], record.creation + LAYER_ID_LENGTH);
        record.created = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
        /* Both were checked by who calls. */
        assert(strlen(name) < sizeof(record.name) && strlen(image) < sizeof(record.image));
        strcpy(record.name, name);
        strcpy(record.image, image);

        *ret = record;
        return 0;
}

/* tmp/slot: complete and durable. */
static int slot_build(Store *s, const Record *record, const Chain *chain) {
        _cleanup_close_ int fd = -EBADF;
        char link[CHAIN_TEXT_SIZE], text[RECORD_SIZE_MAX];
        int r;

        chain_format(chain, link);
        if (mkdirat(s->tmp, "slot", 0700) < 0)
                return -errno;
        fd = open_folder(s->tmp, "slot");
        if (fd < 0)
                return fd;
        if (mkdirat(fd, "snapshots", 0700) < 0 || symlinkat(link, fd, "chain") < 0)
                return -errno;
        r = write_new(fd, "record", 0600, text, record_format(record, text));

        return r < 0 ? r : sync_fd(fd);
}

/* tmp/slot becomes the slot's, and everyone is told. */
static int slot_enter(Store *s, uint32_t slot) {
        char name[SLOT_NAME_SIZE];
        int r;

        slot_name(slot, name);
        if (renameat2(s->tmp, "slot", s->slots, name, RENAME_NOREPLACE) < 0)
                return store_fail(s, errno == EEXIST ? STORE_ALREADY_EXISTS : STORE_KERNEL, "make the slot", -errno);
        r = sync_fd(s->slots);
        if (r < 0)
                (void) store_fail(s, STORE_KERNEL, "make the slot", r);
        else
                r = public_publish(s, slot);
        if (r >= 0)
                return 0;

        (void) renameat2(s->slots, name, s->tmp, "slot", RENAME_NOREPLACE);
        (void) sync_fd(s->slots);
        return r;
}

int slot_make(Store *s, uint32_t slot, const Record *record, const Chain *chain) {
        int r;

        r = slot_build(s, record, chain);
        if (r < 0)
                (void) store_fail(s, STORE_KERNEL, "write the record", r);
        else
                r = public_prepare(s, record);
        if (r >= 0)
                r = slot_enter(s, slot);
        if (r < 0)
                (void) tmp_clear(s);

        return r;
}

/* The rename alone: the new chain is there, perhaps not durably. */
static int chain_put(Store *s, int folder, const Chain *chain) {
        char text[CHAIN_TEXT_SIZE];

        chain_format(chain, text);
        if (symlinkat(text, s->tmp, "chain") < 0)
                return -errno;
        if (renameat(s->tmp, "chain", folder, "chain") < 0) {
                int r = -errno;

                (void) unlinkat(s->tmp, "chain", 0);
                return r;
        }

        return 0;
}

int chain_replace(Store *s, Holding *h, const Chain *chain) {
        int r;

        r = chain_put(s, h->fd, chain);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "replace the chain", r);
        r = sync_fd(h->fd);
        if (r < 0) {
                if (chain_put(s, h->fd, &h->chain) < 0)
                        h->chain = *chain;
                (void) sync_fd(h->fd);
                return store_fail(s, STORE_KERNEL, "replace the chain", r);
        }

        h->chain = *chain;
        return 0;
}

int chain_grow(Store *s, const Chain *base, NewLayer *ret_layer, Chain *ret) {
        _cleanup_layer_ NewLayer layer = {};
        int r;

        r = layer_create(s, &layer);
        if (r < 0)
                return r;
        r = chain_push(base, layer.id, ret);
        if (r < 0)
                return store_fail(s, STORE_LIMIT_REACHED, "layers", r);

        *ret_layer = layer;
        new_layer_keep(&layer);
        return 0;
}

int chain_seal(Store *s, Holding *h, Chain *ret) {
        _cleanup_layer_ NewLayer layer = {};
        Chain before = h->chain, after;
        int r;

        if (layer_is_empty(s, before.layers[0])) {
                if (before.n < 2)
                        return store_fail(s, STORE_BAD_RECORD, "nothing to seal", -ENOENT);
                chain_drop(&before, ret);
                return 0;
        }
        r = chain_grow(s, &before, &layer, &after);
        if (r >= 0)
                r = chain_replace(s, h, &after);
        /* Also after a failure that could not be undone the layer is in use. */
        if (h->chain.layers[0] == layer.id)
                new_layer_keep(&layer);
        if (r < 0)
                return r;

        *ret = before;
        return 0;
}

void chain_unseal(Store *s, Holding *h, const Chain *before) {
        NewLayer layer = { s, h->chain.layers[0] };

        if (h->chain.layers[0] == before->layers[0])
                return;
        if (chain_replace(s, h, before) >= 0)
                new_layer_done(&layer);
}
