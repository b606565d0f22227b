/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The folders of the store as descriptors, and the few moves of which every change consists: a temporary in tmp/, a rename,
 * an fsync. Everything below is relative to one of these descriptors, one name at a time, no symlink followed.
 *
 * The caller holds the store's lock in everything that changes. */

#include <stdbool.h>
#include <stdint.h>

#include "cgroup-tree.h"
#include "chain.h"
#include "record.h"
#include "slot.h"
#include "util.h"

/* Errors of the interface. STORE_KERNEL is what an errno is that no more is known about. */
typedef enum StoreError {
        STORE_KERNEL,
        STORE_BAD_SLOT,
        STORE_BAD_NAME,
        STORE_ALREADY_EXISTS,
        STORE_NO_SUCH_SLOT,
        STORE_NO_SUCH_IMAGE,
        STORE_NO_SUCH_SNAPSHOT,
        STORE_BUSY,
        STORE_STILL_USED,
        STORE_LIMIT_REACHED,
        STORE_BAD_RECORD,
        _STORE_ERROR_MAX,
} StoreError;

typedef struct Store {
        int root;
        int layers, slots, images, trash, tmp;
        int lock;          /* store/lock */
        int public_slots;  /* /var/lib/berth/slots */
        int slot_locks;    /* /run/berth/slots */
        CgroupTree cgroups;
        int held[2];       /* shared locks of slots, until the deed is done */
        size_t n_held;
        StoreError error;  /* the first failure, see store_fail() */
        const char *step;
        int cause;         /* negative errno */
} Store;

/* A public record before it is published. Not a slot's name, so nobody takes it for one. */
#define PUBLIC_NEW ".new"

#define STORE_NONE { -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, .held = { -EBADF, -EBADF } }

/* Opens compiled-in paths and makes the folders of a new store. On failure error and step say what to answer later. */
int store_open(Store *s);

/* The lock of the store; waits. Exclusive: takes apart what a crash has left in tmp/ besides. */
int store_lock(Store *s, bool exclusive);

/* Notes error, step and cause unless a failure was noted before, and returns r. */
int store_fail(Store *s, StoreError error, const char *step, int r);
const char *store_error_name(StoreError error);

/* The slot's lock is free and stays so until we end, its cgroups are gone. */
int store_claim(Store *s, const SlotTable *table, uint64_t number, uint32_t *ret);
/* Lets go of all slots: before the answer, since who gets it may start the slot's supervisor at once. */
void store_release(Store *s);

int sync_fd(int fd);
int open_folder(int parent, const char *name); /* of ours; negative errno */
int read_link(int folder, const char *name, char *ret, size_t size);

/* A new file with this content, synced. */
int write_new(int folder, const char *name, mode_t mode, const char *text, size_t size);

/* Calls back for each entry of the folder parent/name ("." for parent itself), which is open as folder meanwhile; stops at
 * the first negative result. */
int each_entry(int parent, const char *name, int (*callback)(void *userdata, int folder, const char *name), void *userdata);

/* Everything of ours in tmp/, and a public record that was not published. */
int tmp_clear(Store *s);

/* An empty layer that nothing names yet: made and durable, discarded by new_layer_done() unless kept. */
typedef struct NewLayer {
        Store *store; /* NULL: nothing to discard */
        uint64_t id;
} NewLayer;

int layer_create(Store *s, NewLayer *ret);
void new_layer_keep(NewLayer *l);
void new_layer_done(NewLayer *l);
#define _cleanup_layer_ _cleanup_(new_layer_done)

/* Has nobody written into it yet? A layer that cannot be looked into is not empty. */
bool layer_is_empty(Store *s, uint64_t id);

#define SLOT_NAME_SIZE 12U
void slot_name(uint32_t slot, char ret[static SLOT_NAME_SIZE]);
int slot_name_parse(const char *name, uint32_t *ret); /* -EUCLEAN */
