/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Another table, for what the real one takes too long to show. */

#include "table.h"

const Row table[] = {
        {
                .name = "short",
                .program = LIBEXECDIR "/berth-idmap",
                .user = "berth-mount",
                .group = "berth-mount",
                .no_new_privs = true,
                .concurrency = 2,
                .deadline = 1,
        },
        /* Its program cannot be executed, and its user cannot be had. */
        {
                .name = "broken",
                .program = LIBEXECDIR "/berth-broken",
                .user = "berth-mount",
                .group = "berth-mount",
                .no_new_privs = true,
                .concurrency = 2,
                .deadline = 1,
        },
        {},
};
