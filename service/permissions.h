/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a caller may do to many containers, in one call: hints, so that a page can show the right buttons. Answers of polkit
 * are kept for the connection that asked until polkit says that something has changed; the real check asks anew. */

#include "caller.h"

#include <systemd/sd-bus.h>

typedef struct BusCall BusCall;
typedef struct Permissions Permissions;

int permissions_answer(BusCall *q, char *const *names, sd_bus_error *error);
Permissions *permissions_free(Permissions *p);

void hints_forget(Caller *p);
