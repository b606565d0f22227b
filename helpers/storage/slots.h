/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The folders of slots and images: what is in them, and how one comes, changes its chain, and goes. */

#include "store.h"

/* The folder of a slot or image, opened and read. */
typedef struct Holding {
        int fd;
        Record record;
        Chain chain;
} Holding;

#define HOLDING_NONE { .fd = -EBADF }
void holding_done(Holding *h);
#define _cleanup_holding_ _cleanup_(holding_done)

/* -ENOENT, -EUCLEAN. No fault is noted. */
int record_read(int folder, const char *path, Record *ret);
int chain_read(int folder, Chain *ret);

int slot_open(Store *s, uint32_t slot, Holding *ret);           /* NoSuchSlot, BadRecord */
int slot_open_container(Store *s, uint32_t slot, Holding *ret); /* besides BadSlot: no container, or one that is not sealed */
int image_open(Store *s, const char *name, Holding *ret);       /* NoSuchImage, BadRecord */

int slot_check_free(Store *s, uint32_t slot);                          /* AlreadyExists */
int name_check_free(Store *s, SlotKind kind, const char *name);        /* BadName, AlreadyExists */

/* A record with a creation ID of its own, as of now. */
int record_make(Store *s, SlotKind kind, const char *name, uid_t owner, const char *image, Record *ret);

/* Makes the slot with this record and chain, in one step. */
int slot_make(Store *s, uint32_t slot, const Record *record, const Chain *chain);

/* The chain of an opened slot, in one step; holding's is the new one afterwards. */
int chain_replace(Store *s, Holding *h, const Chain *chain);

/* A chain with a new, empty layer on top of base; the layer is the caller's to keep. LimitReached. */
int chain_grow(Store *s, const Chain *base, NewLayer *ret_layer, Chain *ret);

/* Makes what the container holds now read-only, with an empty layer on top, in one step: ret is the chain of what it holds.
 * Where nothing was written into the writable layer nothing changes; and what there is below the empty layer is returned. */
int chain_seal(Store *s, Holding *h, Chain *ret);
/* Takes the layer that chain_seal() has put on top off again. */
void chain_unseal(Store *s, Holding *h, const Chain *before);
