/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Folders and files of a cgroup file system. All is opened beneath a descriptor, one name a step: no symbolic link, no mount
 * crossed. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

int folder_open(int parent, const char *name);
int folder_open_parent(int folder);

/* Text without the newline at its end. -EFBIG if it does not fit. */
int file_read(int folder, const char *name, char *ret, size_t size);
int file_write(int folder, const char *name, const char *text);

/* Is the word one of those between spaces, or the line of "KEY VALUE" among the lines? */
bool text_has_word(const char *text, const char *word);
bool text_has_line(const char *text, const char *line);

/* The file's new owner and group ((uid_t) -1: as it is). group_writes: mode 0664, set while the file is still ours. */
int file_give(int folder, const char *name, uid_t uid, gid_t gid, bool group_writes);

/* Reads "cgroup.events" of the folder until it has that line. -ETIMEDOUT after milliseconds. */
int events_wait(int folder, const char *line, int milliseconds);
