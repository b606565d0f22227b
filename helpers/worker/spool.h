/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What can be given to folders only when all is unpacked: their times, which each new entry would change, and default
 * ACLs, which each new entry would inherit. It waits in an unlinked file, so that memory does not grow with the archive. */

#include "tree.h"

#include <time.h>

#define SPOOL_VALUE_MAX 16384U
#define SPOOL_BUFFER 32768U

typedef struct Spool {
        int fd;
        uint64_t size; /* in the file */
        size_t n;      /* in the buffer */
        char buffer[SPOOL_BUFFER];
} Spool;

int spool_open(Spool *s, Job *j, int folder);
void spool_done(Spool *s);

/* acl: value of system.posix_acl_default, at most SPOOL_VALUE_MAX bytes, or NULL. */
int spool_add(Spool *s, Job *j, const char *path, struct timespec time, const void *acl, size_t acl_size);

/* Gives it all, in the order in which it came. */
int spool_apply(Spool *s, Job *j, const Tree *t);
