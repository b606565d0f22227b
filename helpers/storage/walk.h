/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One walk over everything that names layers, for List and for the mark of mark and sweep. */

#include "store.h"

/* Each returns 0 to go on. Images come first, then the slots by number, the snapshots of each before it. */
typedef struct Visitor {
        /* record, chain: NULL where they cannot be read. */
        int (*image)(void *userdata, const char *name, const Record *record, const Chain *chain);
        int (*snapshot)(void *userdata, const char *name, uint64_t created, const Chain *chain);
        int (*slot)(void *userdata, uint32_t slot, const Record *record, const Chain *chain);
        /* A slot that holds trash. */
        int (*trash)(void *userdata, uint32_t slot);
        void *userdata;
} Visitor;

int walk_store(Store *s, const Visitor *visitor);

typedef struct LayerSet {
        uint64_t *ids;
        size_t n, allocated;
} LayerSet;

void layer_set_done(LayerSet *set);
#define _cleanup_layer_set_ _cleanup_(layer_set_done)
int layer_set_add(LayerSet *set, const Chain *chain);
void layer_set_sort(LayerSet *set); /* after the last add, before the first find */
bool layer_set_has(const LayerSet *set, uint64_t id);
