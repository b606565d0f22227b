/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* User and group IDs by name out of /etc/passwd and /etc/group, without NSS: a privileged program asks nobody. */

#include <sys/types.h>

/* -ESRCH if there is none; -EUCLEAN if its line is damaged. ret_gid may be NULL. */
int user_find(const char *name, uid_t *ret_uid, gid_t *ret_gid);
int group_find(const char *name, gid_t *ret_gid);

/* The same on the text of such a file, for tests and fuzzers. */
int passwd_parse(const char *text, size_t size, const char *name, uid_t *ret_uid, gid_t *ret_gid);
int group_parse(const char *text, size_t size, const char *name, gid_t *ret_gid);
