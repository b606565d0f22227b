/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the methods do, one function each. All hold the store's lock when they begin; each returns 0 or negative errno, with
 * error and step in the store. The order of steps in each is such that a crash between any two leaves the old state or
 * the new one, and besides at most what CollectTrash finds; test-kill.c tries every place. */

#include <jansson.h>

#include "store.h"

#define SNAPSHOTS_MAX 512U
#define IMAGES_MAX 4096U

typedef struct NewSlot {
        uint64_t slot;
        const char *name;
        uid_t owner;
} NewSlot;

typedef struct Created {
        char id[CREATION_ID_LENGTH + 1];
        uint64_t time; /* µs since 1970 */
} Created;

/* containers.c. image: NULL for none. */
int create_container(Store *s, const SlotTable *t, const NewSlot *new, const char *image, Created *ret);
int create_image(Store *s, const SlotTable *t, const NewSlot *new, Created *ret);
int seal(Store *s, const SlotTable *t, uint64_t slot);
int clone_container(Store *s, const SlotTable *t, uint64_t slot, const char *snapshot, const NewSlot *new, Created *ret);
int rename_container(Store *s, const SlotTable *t, uint64_t slot, const char *name);
int destroy(Store *s, const SlotTable *t, uint64_t slot, bool snapshots);
int remove_image(Store *s, const char *name);

/* snapshots.c */
int snapshot_open(Store *s, int folder, const char *name, uint64_t *ret_created, Chain *ret); /* BadName, NoSuchSnapshot */
int take_snapshot(Store *s, const SlotTable *t, uint64_t slot, const char *name, uint64_t *ret_created);
int restore_snapshot(Store *s, const SlotTable *t, uint64_t slot, const char *name);
int remove_snapshot(Store *s, const SlotTable *t, uint64_t slot, const char *name);

/* trash.c */
int collect_trash(Store *s, const SlotTable *t, uint64_t slot, uint64_t *ret_entries);
int release_trash(Store *s, const SlotTable *t, uint64_t slot);

/* list.c. The page that begins at slot first. */
int list(Store *s, uint64_t first, json_t **ret);
