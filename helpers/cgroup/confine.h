/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cgroup-tree.h"

/* From here on this process opens, makes and removes nothing but what is beneath the berth roots, and reads the locks. Needs
 * no_new_privs. -EOPNOTSUPP, -ENOSYS: a kernel without Landlock, on which we refuse to run. */
int confine_files(const CgroupTree *tree, int slots);

/* bpf() kills from here on. */
int confine_bpf(void);
