/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For the tests of berth-storage: a store of their own on a tmpfs, a cgroup of their own in the place of the machine's, and what
 * a store holds as text, so that two states can be compared. */

#include "test-helper.h"

#define STORE "/var/lib/berth/store"
#define PUBLIC "/var/lib/berth/slots"

/* program: path of berth-storage. Skips the test where it cannot be run. */
void storage_world(const char *program);
void storage_world_end(void);
extern TestRow storage;

/* The cgroups of a slot, as berth-cgroup would have made them. */
void cgroup_make(uint32_t slot);
void cgroup_remove(uint32_t slot);

/* Calls; parameters as json_pack() takes them ("" for {}). */
void ok(const char *method, const char *format, ...);
void refused(const char *error, const char *step, const char *method, const char *format, ...);
json_t *reply(const char *method, const char *format, ...); /* the reply's parameters, to be freed */

/* Whole list of all pages, to be freed. */
json_t *list_all(void);
json_t *slot_of(json_t *list, uint32_t slot); /* borrowed, NULL if it is free */

/* The writable layer of a slot, and the worker's or container's part: something in it. */
char *writable_layer(uint32_t slot, char ret[static 17]);
void write_content(uint32_t slot, const char *text);

/* Everything that counts, one line a thing: slots, images, snapshots with what each holds. known: creation IDs that are told
 * apart from new ones, NULL for all. To be freed. */
char *state_text(const char *known);
char *state_of(json_t *all, const char *known);

/* Every chain names layers that exist, no writable layer is named twice, public records are true where they are. */
void check_store(void);
void check_store_of(json_t *all);

/* What a worker does with the trash of a slot. */
void delete_trash(uint32_t slot);
size_t count_entries(const char *path);
void remove_all(const char *path);
