/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a worker locks itself in. */

#include "job.h"

#include <linux/filter.h>

/* Leaves nothing of the host but the folder (as root and working folder) and the descriptors of worker.h, no capability
 * but these, and no system call but those of the filter. Fails as job_failed() does. */
int confine(Job *j, int highest_fd, uint64_t capabilities, const struct sock_fprog *filter);

#ifdef INSTRUMENT_COVERAGE
/* The way back, for the counters that are written at exit. There is none in any other build. */
void confine_leave(void);
#endif
