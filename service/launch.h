/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The steps that bring a supervisor to the point where its first process waits, mapped: shared by a container's start and
 * by workers. The operation has a life; its first of these steps undoes them all. */

#include "operation.h"

int launch_prepare(Operation *o, unsigned step);
int launch_prepare_refused(Operation *o, unsigned step, Answer *a);
int launch_undo(Operation *o, unsigned step);
int launch_spawn(Operation *o, unsigned step);
int launch_spawn_finish(Operation *o, unsigned step, Answer *a);
int launch_create(Operation *o, unsigned step);
int launch_create_finish(Operation *o, unsigned step, Answer *a);
int launch_map(Operation *o, unsigned step);
int launch_devices(Operation *o, unsigned step);
/* Waits for a worker's end and removes what it ran in. */
int launch_end(Operation *o, unsigned step);

/* Rows of a table: steps number first to first + 3. */
#define LAUNCH_STEPS(first, before)                                                                                    \
        [first] = { "making its cgroups", before, launch_prepare, NULL, launch_prepare_refused, launch_undo },         \
        [(first) + 1] = { "starting its supervisor", AFTER(first), launch_spawn, launch_spawn_finish },                \
        [(first) + 2] = { "creating its namespaces", AFTER((first) + 1), launch_create, launch_create_finish,          \
                          .abandon = true },                                                                           \
        [(first) + 3] = { "mapping its IDs", AFTER((first) + 2), launch_map }

/* The plan of a worker: valid, though it executes nothing. */
json_t *launch_worker_plan(const char *name, const char *creation_id);

/* What Work answers, each time. */
typedef struct WorkReply {
        uint64_t entries, bytes, skipped;
} WorkReply;

int work_decode(Answer *a, WorkReply *ret);
