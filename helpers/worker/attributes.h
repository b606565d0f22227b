/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an entry of an archive says about its owner, mode, times, extended attributes and ACLs. */

#include "job.h"

#include <archive_entry.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

typedef struct Attributes {
        uid_t uid;
        gid_t gid;
        mode_t mode; /* permissions and the three special bits */
        struct timespec time;
} Attributes;

#define IDS_END 65536 /* of a container */

/* Fails as job_bad_archive() does where an ID is not one of a container's. */
int attributes_read(Job *j, struct archive_entry *entry, Attributes *ret);

/* Value of system.posix_acl_access or _default (type: ARCHIVE_ENTRY_ACL_TYPE_ACCESS or _DEFAULT). size 0: there is none. */
int acl_read(Job *j, struct archive_entry *entry, int type, char *buffer, size_t max, size_t *ret_size);

/* Everything but the times of what is open: owner, then mode, then attributes and ACL, which the others would undo. */
int attributes_apply(Job *j, const Attributes *a, struct archive_entry *entry, int fd);
/* Owner and time of a symbolic link; of a fifo (not link) also the mode. */
int attributes_apply_at(Job *j, const Attributes *a, int folder, const char *name, bool link);
int attributes_apply_time(Job *j, const Attributes *a, int fd);
