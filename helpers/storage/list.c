/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* List: everything that the store holds, in pages that fit into a message. Each page is one look at the store under its
 * shared lock; it takes some ten system calls a slot and no fsync. */

#include "operations.h"

#include <stdio.h>
#include <string.h>

#include "public.h"
#include "walk.h"

/* Of MESSAGE_OUT_MAX, 1 MiB, the rest being frame and margin. */
#define PAGE_SIZE_MAX (960U * 1024)

/* Upper bounds of what an entry takes as text: names are at most 63 characters, none of which JSON escapes. */
#define SLOT_TEXT_MAX 448U
#define IMAGE_TEXT_MAX 192U
#define SNAPSHOT_TEXT_MAX 112U

typedef struct ImageEntry {
        char name[NAME_LENGTH_MAX + 1];
        uid_t owner;
        uint64_t created;
        uint64_t top; /* its uppermost layer: who stands on that stands on the image */
        uint64_t used_by;
} ImageEntry;

typedef struct SnapshotEntry {
        char name[NAME_LENGTH_MAX + 1];
        uint64_t created;
} SnapshotEntry;

typedef struct Listing {
        Store *store;
        uint64_t first;
        json_t *slots;
        size_t size;
        uint32_t next; /* SLOT_INVALID: all slots fit */

        ImageEntry *images;
        size_t n_images, allocated_images;
        bool sorted;
        SnapshotEntry *snapshots; /* of the slot at hand */
        size_t n_snapshots, allocated_snapshots;

        LayerSet used;
        bool damaged, trash;
        size_t missing; /* public records */
        bool occupied[SLOTS_MAX], published[SLOTS_MAX];
} Listing;

static void listing_done(Listing *l) {
        json_decref(l->slots);
        free(l->images);
        free(l->snapshots);
        layer_set_done(&l->used);
}

/* Room for one more element of an array that grows. */
static int make_room(void *array, size_t n, size_t *allocated, size_t size) {
        void **p = array, *grown;
        size_t more = MAX(*allocated * 2, 64U);

        if (n < *allocated)
                return 0;
        grown = reallocarray(*p, more, size);
        if (!grown)
                return -ENOMEM;
        *p = grown;
        *allocated = more;

        return 0;
}

static int list_image(void *userdata, const char *name, const Record *record, const Chain *chain) {
        Listing *l = userdata;
        ImageEntry *entry;
        int r;

        if (!record || !chain || !name_is_valid(name)) {
                l->damaged = true;
                return 0;
        }
        r = make_room(&l->images, l->n_images, &l->allocated_images, sizeof(ImageEntry));
        if (r < 0)
                return r;
        entry = &l->images[l->n_images++];
        *entry = (ImageEntry) { .owner = record->owner, .created = record->created, .top = chain->layers[0] };
        strcpy(entry->name, name);

        return layer_set_add(&l->used, chain);
}

static int image_compare_top(const void *a, const void *b) {
        const ImageEntry *x = a, *y = b;

        return (x->top > y->top) - (x->top < y->top);
}

static int image_compare_name(const void *a, const void *b) {
        return strcmp(((const ImageEntry *) a)->name, ((const ImageEntry *) b)->name);
}

static int mark(Listing *l, const Chain *chain) {
        if (!chain) {
                l->damaged = true;
                return 0;
        }
        /* All images have been seen before the first slot. */
        if (!l->sorted && l->n_images > 0)
                qsort(l->images, l->n_images, sizeof(ImageEntry), image_compare_top);
        l->sorted = true;
        for (size_t i = 0; l->n_images > 0 && i < chain->n; i++) {
                ImageEntry *image;

                image = bsearch(&(ImageEntry) { .top = chain->layers[i] }, l->images, l->n_images, sizeof(ImageEntry),
                                image_compare_top);
                if (image)
                        image->used_by++;
        }

        return layer_set_add(&l->used, chain);
}

static int list_snapshot(void *userdata, const char *name, uint64_t created, const Chain *chain) {
        Listing *l = userdata;
        SnapshotEntry *entry;
        int r;

        r = mark(l, chain);
        if (r < 0 || !name_is_valid(name))
                return r;
        r = make_room(&l->snapshots, l->n_snapshots, &l->allocated_snapshots, sizeof(SnapshotEntry));
        if (r < 0)
                return r;
        entry = &l->snapshots[l->n_snapshots++];
        entry->created = created;
        strcpy(entry->name, name);

        return 0;
}

static int snapshot_compare(const void *a, const void *b) {
        const SnapshotEntry *x = a, *y = b;

        if (x->created != y->created)
                return x->created > y->created ? 1 : -1;
        return strcmp(x->name, y->name);
}

static json_t *snapshots_json(Listing *l) {
        json_t *array = json_array();

        if (l->n_snapshots > 0)
                qsort(l->snapshots, l->n_snapshots, sizeof(SnapshotEntry), snapshot_compare);
        for (size_t i = 0; i < l->n_snapshots; i++)
                (void) json_array_append_new(array, json_pack("{s:s, s:I}", "name", l->snapshots[i].name, "created",
                                                              (json_int_t) l->snapshots[i].created));

        return array;
}

/* -ECANCELED once a slot does not fit any more. */
static int add_slot(Listing *l, uint32_t slot, SlotKind kind, const Record *record, bool sealed) {
        static const Record none = {};
        size_t size = SLOT_TEXT_MAX + l->n_snapshots * SNAPSHOT_TEXT_MAX;
        json_t *entry;

        if (slot < l->first)
                return 0;
        if (l->size + size > PAGE_SIZE_MAX && l->size > 0) {
                l->next = slot;
                return -ECANCELED;
        }
        l->size += size;
        record = record ?: &none;
        entry = json_pack("{s:i, s:s, s:s, s:I, s:s, s:I, s:b, s:s, s:o}", "slot", (int) slot, "kind", slot_kind_name(kind),
                          "name", record->name, "ownerUID", (json_int_t) record->owner, "creationID", record->creation,
                          "created", (json_int_t) record->created, "sealed", sealed, "image", record->image,
                          "snapshots", snapshots_json(l));

        return entry && json_array_append_new(l->slots, entry) >= 0 ? 0 : -ENOMEM;
}

static int list_slot(void *userdata, uint32_t slot, const Record *record, const Chain *chain) {
        Listing *l = userdata;
        int r;

        r = mark(l, chain);
        if (r < 0)
                return r;
        l->occupied[slot] = true;
        l->missing += record && !l->published[slot];
        r = add_slot(l, slot, record && chain ? record->kind : SLOT_DAMAGED, record, chain && chain->n > 1);
        l->n_snapshots = 0;

        return r;
}

static int list_trash(void *userdata, uint32_t slot) {
        return add_slot(userdata, slot, SLOT_TRASH, NULL, false);
}

static int look_for_layer(void *userdata, int folder, const char *name) {
        Listing *l = userdata;
        uint64_t id;

        if (layer_parse(name, &id) >= 0 && !layer_set_has(&l->used, id))
                l->trash = true;
        return 0;
}

static int look_for_public(void *userdata, int folder, const char *name) {
        Listing *l = userdata;
        uint32_t slot;

        if (slot_name_parse(name, &slot) >= 0)
                l->published[slot] = true;
        else
                l->trash = true;
        return 0;
}

static int look_for_anything(void *userdata, int folder, const char *name) {
        ((Listing *) userdata)->trash = true;
        return 0;
}

static int look_for_trash(Listing *l) {
        int r;

        layer_set_sort(&l->used);
        r = each_entry(l->store->layers, ".", look_for_layer, l);
        if (r >= 0)
                r = each_entry(l->store->tmp, ".", look_for_anything, l);
        if (l->missing > 0)
                l->trash = true;
        for (size_t i = 0; i < SLOTS_MAX; i++)
                if (l->published[i] && !l->occupied[i])
                        l->trash = true;
        /* Nothing can be collected while something names layers that cannot be read. */
        if (l->damaged)
                l->trash = false;

        return r;
}

static json_t *images_json(Listing *l) {
        json_t *array = json_array();

        if (l->n_images > 0)
                qsort(l->images, l->n_images, sizeof(ImageEntry), image_compare_name);
        for (size_t i = 0; i < l->n_images; i++)
                (void) json_array_append_new(array, json_pack("{s:s, s:I, s:I, s:I}", "name", l->images[i].name, "ownerUID",
                                                              (json_int_t) l->images[i].owner, "created",
                                                              (json_int_t) l->images[i].created, "usedBy",
                                                              (json_int_t) l->images[i].used_by));

        return array;
}

int list(Store *s, uint64_t first, json_t **ret) {
        _cleanup_(listing_done) Listing l = { .store = s, .first = first, .slots = json_array(), .next = SLOT_INVALID };
        const Visitor visitor = { list_image, list_snapshot, list_slot, list_trash, &l };
        json_t *page;
        int r;

        if (!l.slots)
                return store_fail(s, STORE_KERNEL, "memory", -ENOMEM);
        r = each_entry(s->public_slots, ".", look_for_public, &l);
        if (r >= 0)
                r = walk_store(s, &visitor);
        if (r < 0 && r != -ECANCELED)
                return store_fail(s, STORE_KERNEL, "look through the store", r);
        /* Images and slots that do not fit into one page: the last page is the images'. */
        if (l.next == SLOT_INVALID && l.size > 0 && l.size + l.n_images * IMAGE_TEXT_MAX > PAGE_SIZE_MAX)
                l.next = SLOTS_MAX;

        if (l.next != SLOT_INVALID)
                page = json_pack("{s:O, s:[], s:b, s:i}", "slots", l.slots, "images", "trash", false, "next", (int) l.next);
        else {
                r = look_for_trash(&l);
                if (r < 0)
                        return store_fail(s, STORE_KERNEL, "look through the store", r);
                page = json_pack("{s:O, s:o, s:b}", "slots", l.slots, "images", images_json(&l), "trash", l.trash);
        }
        if (!page)
                return store_fail(s, STORE_KERNEL, "memory", -ENOMEM);

        *ret = page;
        return 0;
}
