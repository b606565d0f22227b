/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The decoder of the store's list. What berth-storage says is believed, but not how it says it: names, numbers and order are
 * checked as for anybody. */

#include "records.h"
#include "decode.h"

#include <stdio.h>

#define SNAPSHOTS_MAX 4096U

void engine_container_done(EngineContainer *c) {
        for (size_t i = 0; i < c->n_snapshots; i++)
                free(c->snapshots[i].name);
        free(c->snapshots);
        free(c->name);
        free(c->creation_id);
        free(c->image);
        *c = (EngineContainer) {};
}

void records_done(Records *r) {
        for (size_t i = 0; i < r->n_records; i++)
                engine_container_done(&r->records[i].container);
        for (size_t i = 0; i < r->n_images; i++)
                free(r->images[i].name);
        free(r->records);
        free(r->images);
        *r = (Records) {};
}

json_t *records_call(const Records *r) {
        return r->more ? json_pack("{s:I}", "first", (json_int_t) r->next) : NULL;
}

static int snapshots_decode(json_t *list, Answer *a, EngineContainer *c) {
        struct Raw {
                const char *name;
                uint64_t created;
        };
        static const Field fields[] = {
                { "name", FIELD_NAME, offsetof(struct Raw, name), 0, 0, 0 },
                { "created", FIELD_UNSIGNED, offsetof(struct Raw, created), 0, 0, INT64_MAX },
                {},
        };

        c->snapshots = calloc(json_array_size(list) + 1, sizeof(EngineSnapshot));
        if (!c->snapshots)
                return -ENOMEM;
        for (size_t i = 0; i < json_array_size(list); i++) {
                struct Raw raw = {};
                const char *field;
                int r;

                r = decode(json_array_get(list, i), fields, a->reply->message, &raw, &field);
                if (r < 0)
                        return r;
                c->snapshots[i].created = raw.created;
                c->snapshots[i].name = strdup(raw.name);
                if (!c->snapshots[i].name)
                        return -ENOMEM;
                c->n_snapshots++;
        }

        return 0;
}

typedef struct RawRecord {
        uint64_t slot, owner, created;
        const char *kind, *name, *creation_id, *image;
        bool sealed;
        json_t *snapshots;
} RawRecord;

static int record_take(const RawRecord *raw, const SlotTable *t, Answer *a, Record *record) {
        EngineContainer *c = &record->container;
        Slot slot;
        int r;

        r = slot_by_number(t, raw->slot, &slot);
        if (r < 0)
                return r;
        if (*raw->creation_id && !creation_id_is_valid(raw->creation_id))
                return -EINVAL;

        (void) snprintf(record->kind, sizeof(record->kind), "%s", raw->kind);
        record->sealed = raw->sealed;
        *c = (EngineContainer) {
                .slot = slot.number,
                .name = strdup(raw->name),
                .owner = (uid_t) raw->owner,
                .creation_id = strdup(raw->creation_id),
                .created = raw->created,
                .image = strdup(raw->image),
                .range_base = slot.base,
                .range_size = RANGE_SIZE,
        };
        return c->name && c->creation_id && c->image ? snapshots_decode(raw->snapshots, a, c) : -ENOMEM;
}

static int record_add(Records *r, const SlotTable *t, json_t *json, Answer *a) {
        static const Field fields[] = {
                { "slot", FIELD_UNSIGNED, offsetof(RawRecord, slot), 0, 0, SLOTS_MAX - 1 },
                { "kind", FIELD_STRING, offsetof(RawRecord, kind), 0, 1, 15 },
                /* trash has no name */
                { "name", FIELD_STRING, offsetof(RawRecord, name), 0, 0, NAME_LENGTH_MAX },
                { "ownerUID", FIELD_UNSIGNED, offsetof(RawRecord, owner), 0, 0, UINT32_MAX },
                { "creationID", FIELD_STRING, offsetof(RawRecord, creation_id), 0, 0, CREATION_ID_LENGTH },
                { "created", FIELD_UNSIGNED, offsetof(RawRecord, created), 0, 0, INT64_MAX },
                { "sealed", FIELD_BOOL, offsetof(RawRecord, sealed), 0, 0, 0 },
                { "image", FIELD_STRING, offsetof(RawRecord, image), 0, 0, NAME_LENGTH_MAX },
                { "snapshots", FIELD_ARRAY, offsetof(RawRecord, snapshots), 0, 0, SNAPSHOTS_MAX },
                {},
        };
        RawRecord raw = {};
        const char *field;
        int k;

        k = decode(json, fields, a->reply->message, &raw, &field);
        if (k < 0)
                return k;
        if (!streq(raw.kind, "trash") && (!name_is_valid(raw.name) || !*raw.creation_id))
                return -EINVAL;
        if (r->n_records > 0 && raw.slot <= r->records[r->n_records - 1].container.slot)
                return -EINVAL;

        k = record_take(&raw, t, a, &r->records[r->n_records]);
        if (k < 0)
                engine_container_done(&r->records[r->n_records].container);
        else
                r->n_records++;
        return k;
}

typedef struct RawImage {
        const char *name;
        uint64_t owner, created, used_by;
} RawImage;

static int image_add(Records *r, json_t *json, Answer *a) {
        static const Field fields[] = {
                { "name", FIELD_NAME, offsetof(RawImage, name), 0, 0, 0 },
                { "ownerUID", FIELD_UNSIGNED, offsetof(RawImage, owner), 0, 0, UINT32_MAX },
                { "created", FIELD_UNSIGNED, offsetof(RawImage, created), 0, 0, INT64_MAX },
                { "usedBy", FIELD_UNSIGNED, offsetof(RawImage, used_by), 0, 0, INT64_MAX },
                {},
        };
        RawImage raw = {};
        const char *field;
        char *name;
        int k;

        k = decode(json, fields, a->reply->message, &raw, &field);
        if (k < 0)
                return k;
        name = strdup(raw.name);
        if (!name)
                return -ENOMEM;

        r->images[r->n_images++] = (EngineImage) { name, (uid_t) raw.owner, raw.created, raw.used_by };
        return 0;
}

typedef struct RawPage {
        json_t *slots, *images;
        bool trash;
        uint64_t next;
} RawPage;

int records_add(Records *r, const SlotTable *t, Answer *a) {
        static const Field fields[] = {
                { "slots", FIELD_ARRAY, offsetof(RawPage, slots), 0, 0, SLOTS_MAX },
                { "images", FIELD_ARRAY, offsetof(RawPage, images), 0, 0, 65536 },
                { "trash", FIELD_BOOL, offsetof(RawPage, trash), 0, 0, 0 },
                { "next", FIELD_UNSIGNED, offsetof(RawPage, next), FIELD_NULLABLE, 1, SLOTS_MAX - 1 },
                {},
        };
        RawPage page = {};
        const char *field;
        void *grown;
        int k;

        k = decode(a->reply->parameters, fields, a->reply->message, &page, &field);
        if (k < 0)
                return k;
        if (page.next > 0 && r->more && page.next <= r->next)
                return -EINVAL; /* it must come to an end */

        grown = realloc(r->records, (r->n_records + json_array_size(page.slots) + 1) * sizeof(Record));
        if (!grown)
                return -ENOMEM;
        r->records = grown;
        grown = realloc(r->images, (r->n_images + json_array_size(page.images) + 1) * sizeof(EngineImage));
        if (!grown)
                return -ENOMEM;
        r->images = grown;

        for (size_t i = 0; k >= 0 && i < json_array_size(page.slots); i++) {
                r->records[r->n_records] = (Record) {};
                k = record_add(r, t, json_array_get(page.slots, i), a);
        }
        for (size_t i = 0; k >= 0 && i < json_array_size(page.images); i++)
                k = image_add(r, json_array_get(page.images, i), a);
        if (k < 0)
                return k;

        r->trash = r->trash || page.trash;
        r->more = page.next > 0;
        r->next = (uint32_t) page.next;
        return 0;
}
