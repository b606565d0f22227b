/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A connection to the bus that has asked something: its unique name, and the user that the bus driver authenticated it
 * as. Never /proc, never a process ID. Unique names are not used again while a bus lives. */

#include "list.h"

#include <sys/types.h>
#include <systemd/sd-bus.h>

typedef struct Manager Manager;
typedef struct Hint Hint;

typedef struct Caller {
        Manager *manager;
        Link link;
        unsigned references;
        char *name;
        uid_t uid;  /* once known */
        bool known; /* the bus driver has said who it is */
        bool gone;  /* has left the bus, or the driver does not know it */
        sd_bus_slot *question;
        Hint *hints; /* permissions.c */
        size_t n_hints;
} Caller;

/* A reference to the caller of this name; a new one asks the driver, and bus_calls_caller_known() is told of the answer. */
int caller_get(Manager *m, const char *name, Caller **ret);
Caller *caller_ref(Caller *p);
Caller *caller_unref(Caller *p);

/* Watches the bus for names that vanish. */
int callers_watch(Manager *m);
