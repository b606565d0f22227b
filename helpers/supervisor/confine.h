/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* The last steps before init or a program of Execute is executed, the same for both: session keyring, core limit, bounding
 * set, seccomp, user and group. As root of the container's user namespace, inside all its namespaces. */
int confine(uid_t uid, gid_t gid, const char **ret_step);

/* Changes into a folder and proves that it lies inside. */
int confine_chdir(const char *path);
