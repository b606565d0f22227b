/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operation.h"

#include "names.h"

/* What CreateContainer, CreateImage and Clone answer. */
typedef struct Created {
        char creation_id[CREATION_ID_LENGTH + 1];
        uint64_t created;
} Created;

int created_decode(Answer *a, Created *ret);

/* Undoes the making of a slot's record. With an empty creation ID nobody knows whether it was made: then the store is
 * listed, and only a record of that kind and name in that slot is forgotten. operation_undone() follows. */
int store_forget(Operation *o, unsigned step, uint32_t slot, const char *kind, const char *name, const Created *created);

/* Create from an image: one call. */
int store_create(Engine *e, const char *name, uid_t owner, const char *image,
                 void (*done)(void *userdata, const EngineContainer *container, const EngineError *error), void *userdata,
                 Operation **ret);

/* For the done callback of create and clone; freed by the caller's engine_container_done(). */
int store_container(Engine *e, uint32_t slot, const char *name, uid_t owner, const char *image, const Created *created,
                    EngineContainer *ret);
void engine_container_done(EngineContainer *c);
