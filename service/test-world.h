/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A world of helpers for tests of the engine: sockets where the real ones are, in a mount namespace of the test's own, with a
 * part of each helper and of the supervisor played by a script. Needs root. Helpers are played in the test's event loop;
 * supervisors are processes with a user, a lock and a user namespace of their own, as the engine looks at those. */

#include "request.h"

#include <systemd/sd-event.h>

#define WORLD_FIRST 1000000U
#define WORLD_SLOTS 8U
#define WORLD_ID "0123456789abcdef0123456789abcdef"

typedef enum Fault {
        FAULT_NONE,
        FAULT_ERROR,   /* a typed error */
        FAULT_BUSY,    /* the typed error Busy, once */
        FAULT_HANG,    /* no answer */
        FAULT_EOF,     /* the end of the connection */
        FAULT_GARBAGE, /* bytes that are no message */
        FAULT_FIELDS,  /* a reply with a field that nobody knows */
        FAULT_FDS,     /* a descriptor more than there should be */
        FAULT_TWICE,   /* two replies */
        FAULT_LIE,     /* of a supervisor: another namespace, another process, a folder for a pipe */
        _FAULT_MAX,
} Fault;

const char *fault_name(Fault f);

/* Skips the test where it cannot be. */
void world_init(sd_event *event);
void world_done(void);
/* The next call of this method goes wrong in that way; all others go well. */
void world_fault(Method method, Fault fault);
/* What Storage.List says: the slots and images arrays as text. */
void world_list(const char *slots, const char *images, bool trash);
/* How many entries CollectTrash finds. */
void world_trash(unsigned entries);

/* All calls so far, "Cgroup.Prepare 3 Supervisor 3 ..."; emptied. A call by a namespace has "ns" for the slot. */
const char *world_calls(void);
/* The supervisor of the slot; 0 if none. */
pid_t world_supervisor(uint32_t slot);
/* Starts one that runs a container as if a berthd had started it. */
void world_run(uint32_t slot, const char *name, const char *creation_id, const char *state, bool worker);
const char *world_peek(void); /* the same, and they stay */
void world_kill(uint32_t slot);
/* A call of this method has come and hangs. */
bool world_is_hung(Method method);
/* Ends all connections that have not asked for anything yet. */
void world_hang_up(void);
/* How many connections helpers still have. */
unsigned world_connections(void);
