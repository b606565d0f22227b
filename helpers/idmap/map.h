/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The process of a fresh user namespace, and its two maps. Effective user: the supervisor, whose process it is. */

#include "slot.h"

#include <linux/openat2.h>

/* All that openat2() may be called with here. Read-only memory, in one aligned piece: the seccomp list compares
 * addresses. */
typedef struct MapConstants {
        struct open_how how;
        char uid_map[16];
        char gid_map[16];
} __attribute__((aligned(64))) MapConstants;

extern const MapConstants map_constants;

/* Effective user S, which gives the same capabilities again (leaving 0 clears the effective ones). */
int become_effective(uid_t supervisor);

/* Is it the folder of a living process, opened for reading, in that user namespace? -EINVAL: not such a folder; -EXDEV:
 * another namespace; -ESRCH: it is dead. *ret_step says what was looked at. */
int process_check(int process, int userns, const char **ret_step);

typedef struct Maps {
        int uid, gid;
} Maps;

void maps_close(Maps *m);
int maps_open(int process, Maps *ret);
/* -EEXIST: one of them is not empty. */
int maps_check_empty(const Maps *m);
/* Writes each once and reads it back. -EIO: it is not what was written. */
int maps_write(const Maps *m, uid_t base, const char **ret_step);
