/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For unit tests: cgroup hierarchies of the test's own at the fixed paths. Children of the cgroups that the test was started in,
 * seen through a cgroup namespace and fresh mounts in a mount namespace; gone at the end. Needs root. */

#include <stdbool.h>
#include <sys/types.h>

/* Runs the function in a child: all hierarchies of the machine below /sys/fs/cgroup, or with v2_only the v2 tree alone as
 * /sys/fs/cgroup itself, with the controllers that it can be given. Returns its exit status; skips the test where v1 is
 * wanted and not mounted. */
int test_in_cgroups(bool v2_only, void (*run)(void));

/* Inside: makes ROOT in each hierarchy, as the spawner does, owned by that user. */
void test_make_roots(uid_t owner);
