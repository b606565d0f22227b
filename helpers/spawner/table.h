/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the spawner starts, for whom, as whom, with what. Compiled in: no file and no message can change it. */

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#define CAP(c) (UINT64_C(1) << CAP_##c)

#define ROWS_MAX 16
#define LIMITS_MAX 4

/* Beside the union of the rows: changing IDs, cutting bounding sets, giving folders to their owners. */
#define CAPABILITIES_OWN (CAP(SETUID) | CAP(SETGID) | CAP(SETPCAP) | CAP(CHOWN))

typedef struct Limit {
        int resource;
        rlim_t soft, hard;
} Limit;

typedef struct Row {
        const char *name;      /* of the socket below /run/berth/helpers */
        const char *program;   /* absolute path */
        const char *user;
        const char *group;     /* its only group beside "berth", which opens /run/berth/slots */
        uint64_t capabilities; /* bounding, permitted and effective set; ambient too unless the user is root */
        bool no_new_privs;
        unsigned concurrency;
        unsigned deadline;     /* seconds until SIGALRM, 0 for none */
        unsigned n_limits;
        Limit limits[LIMITS_MAX];
} Row;

extern const Row table[]; /* ended by {}, at most ROWS_MAX */
