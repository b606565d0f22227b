/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every signal back to its default, the two that the C library keeps for itself too: posix_spawn() leaves those ignored in
 * what it starts, and a container's init must not inherit that. For a process with one thread. */
int signals_reset(void);
