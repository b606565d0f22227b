/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Storage.List answers, a page at a time. */

#include "operation-store.h"

typedef struct Record {
        EngineContainer container; /* for all kinds: slot, name, owner, creation ID, created; image and snapshots */
        char kind[16];
        bool sealed;
} Record;

typedef struct Records {
        Record *records;
        size_t n_records;
        EngineImage *images;
        size_t n_images;
        bool trash;
        bool more;     /* there is another page: */
        uint32_t next; /* that begins here */
} Records;

void records_done(Records *r);

/* Adds a page to what is there. -EINVAL: nonsense, a slot twice or out of order. */
int records_add(Records *r, const SlotTable *t, Answer *a);
/* The call for the next page. */
json_t *records_call(const Records *r);
