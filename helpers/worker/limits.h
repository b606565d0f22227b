/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How large an archive may be. /etc/berth/limits.conf, root's:
 *
 *         # one "key = value" a line; a value is a number, with K, M, G or T for powers of 1024 if wanted
 *         archive.entries = 500000
 *         archive.apparent = 20G     sum of all files' lengths, and the length of the archive when decompressed
 *         archive.written = 8G       what is written to disk, each thing in blocks of 4 KiB
 *         archive.depth = 256        folders above one another
 *         archive.path = 4096        length of a path, the kernel's NUL counted
 *
 * These are the defaults. Lines of other groups ("other.key = value") are not read; an unknown key in this one is an error. */

#include <stddef.h>
#include <stdint.h>

#define LIMITS_PATH "/etc/berth/limits.conf"
#define PATH_LENGTH_MAX 4096U /* the kernel's PATH_MAX */

typedef struct Limits {
        uint64_t entries, apparent, written, depth, path;
} Limits;

/* No file: the defaults. -EPERM: not root's alone to write; -EUCLEAN: not understood. */
int limits_load(Limits *ret);
/* The same on the text of such a file. */
int limits_parse(const char *text, size_t size, Limits *ret);
