/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Replaces each detached mount by a clone whose read-only, nosuid and nodev flags nobody can clear. On failure nothing in
 * the array may be handed out, and *ret_step says at which step it was. */
int lock_mounts(const int *mounts, size_t n, const char **ret_step);
