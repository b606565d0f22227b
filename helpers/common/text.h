/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small files of the system that are read whole, and lines and fields of text that need not end in NUL. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_FILE_MAX (4U * 1024 * 1024)

/* Reads a regular file, at most max bytes (-EFBIG), NUL appended; to be freed. No symlink at its last component. */
int text_read(const char *path, size_t max, char **ret, size_t *ret_size);

/* A piece of text. */
typedef struct Span {
        const char *s;
        size_t n;
} Span;

/* Cuts the piece up to the separator off the front; false when nothing is left. A text that ends in the separator has no
 * empty piece after it. */
bool span_cut(Span *rest, char separator, Span *ret);
bool span_is(Span s, const char *word);

/* Decimal digits only, no sign, no space, no leading zero but "0" itself: 0 or -EINVAL, -ERANGE. */
int span_to_unsigned(Span s, uint64_t max, uint64_t *ret);
