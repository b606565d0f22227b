/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Folders, lock files and cgroup roots that must be there before anything is started. */

#include <sys/types.h>

typedef struct Place {
        const char *path;
        const char *user, *group;
        mode_t mode;
} Place;

extern const Place places[]; /* ended by {}; data/tmpfiles.d/berth.conf has the same, a test compares */

/* Makes what is absent. What is there must be a folder of that owner with no wider mode, or -EPERM. */
int places_make(void);

/* /run/berth/slots/N, one for each slot that the delegation has room for. */
int locks_make(gid_t berth_gid);

/* "berth" in each mounted hierarchy where systemd has not delegated a cgroup to us; user berth-cgroup's. */
int cgroup_roots_make(void);
