/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See walk.h. Whatever cannot be read is told as such, never left out: a sweep that overlooks a chain would delete what a
 * container stands on. */

#include "walk.h"

#include <fcntl.h>

#include "slots.h"

void layer_set_done(LayerSet *set) {
        free(set->ids);
        *set = (LayerSet) {};
}

int layer_set_add(LayerSet *set, const Chain *chain) {
        if (set->n + chain->n > set->allocated) {
                size_t allocated = MAX(set->allocated * 2, 1024U);
                uint64_t *ids;

                ids = reallocarray(set->ids, allocated, sizeof(*ids));
                if (!ids)
                        return -ENOMEM;
                set->ids = ids;
                set->allocated = allocated;
        }
        memcpy(set->ids + set->n, chain->layers, chain->n * sizeof(set->ids[0]));
        set->n += chain->n;

        return 0;
}

static int id_compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

void layer_set_sort(LayerSet *set) {
        if (set->n > 0)
                qsort(set->ids, set->n, sizeof(set->ids[0]), id_compare);
}

bool layer_set_has(const LayerSet *set, uint64_t id) {
        return set->n > 0 && bsearch(&id, set->ids, set->n, sizeof(set->ids[0]), id_compare);
}

typedef struct Walk {
        Store *store;
        const Visitor *visitor;
        bool slots[SLOTS_MAX], trash[SLOTS_MAX];
} Walk;

static int walk_image(void *userdata, int folder, const char *name) {
        Walk *walk = userdata;
        _cleanup_close_ int fd = -EBADF;
        const Visitor *v = walk->visitor;
        bool has_record, has_chain;
        Record record;
        Chain chain;

        fd = open_folder(folder, name);
        has_record = fd >= 0 && record_read(fd, "record", &record) >= 0;
        has_chain = fd >= 0 && chain_read(fd, &chain) >= 0;

        return v->image(v->userdata, name, has_record ? &record : NULL, has_chain ? &chain : NULL);
}

static int walk_snapshot(void *userdata, int folder, const char *name) {
        Walk *walk = userdata;
        const Visitor *v = walk->visitor;
        char text[CHAIN_TEXT_SIZE];
        uint64_t created;
        Chain chain;

        if (read_link(folder, name, text, sizeof(text)) < 0 || snapshot_parse(text, &created, &chain) < 0)
                return v->snapshot(v->userdata, name, 0, NULL);

        return v->snapshot(v->userdata, name, created, &chain);
}

static int walk_slot(Walk *walk, uint32_t slot) {
        _cleanup_close_ int fd = -EBADF;
        const Visitor *v = walk->visitor;
        char name[SLOT_NAME_SIZE];
        bool has_record, has_chain;
        Record record;
        Chain chain;
        int r;

        slot_name(slot, name);
        fd = open_folder(walk->store->slots, name);
        if (fd < 0)
                return v->slot(v->userdata, slot, NULL, NULL);
        has_record = record_read(fd, "record", &record) >= 0;
        has_chain = chain_read(fd, &chain) >= 0;
        r = each_entry(fd, "snapshots", walk_snapshot, walk);
        if (r == -ENOENT || r == -ENOTDIR)
                return v->slot(v->userdata, slot, NULL, NULL);
        if (r < 0)
                return r;

        return v->slot(v->userdata, slot, has_record ? &record : NULL, has_chain ? &chain : NULL);
}

static int note_slot(void *userdata, int folder, const char *name) {
        Walk *walk = userdata;
        uint32_t slot;

        if (slot_name_parse(name, &slot) >= 0)
                walk->slots[slot] = true;
        return 0;
}

static int note_trash(void *userdata, int folder, const char *name) {
        Walk *walk = userdata;
        uint32_t slot;

        if (slot_name_parse(name, &slot) >= 0)
                walk->trash[slot] = true;
        return 0;
}

int walk_store(Store *s, const Visitor *visitor) {
        Walk walk = { .store = s, .visitor = visitor };
        int r;

        r = each_entry(s->slots, ".", note_slot, &walk);
        if (r >= 0)
                r = each_entry(s->trash, ".", note_trash, &walk);
        if (r >= 0)
                r = each_entry(s->images, ".", walk_image, &walk);

        for (uint32_t i = 0; r >= 0 && i < SLOTS_MAX; i++) {
                if (walk.slots[i])
                        r = walk_slot(&walk, i);
                else if (walk.trash[i])
                        r = visitor->trash(visitor->userdata, i);
        }

        return r;
}
