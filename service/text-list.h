/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* NULL-terminated arrays of strings, and two questions about strings that came from outside. */

#include "util.h"

char **strv_free(char **l);
size_t strv_length(char *const *l);
/* Appends a copy. *l may be NULL. */
int strv_push(char ***l, const char *s);
int strv_copy(char *const *l, char ***ret);

static inline void strv_freep(char ***l) {
        strv_free(*l);
}

#define _cleanup_strv_ _cleanup_(strv_freep)

/* A bus refuses strings that are not UTF-8. */
bool utf8_is_valid(const char *s);
/* No control character (below 0x20, 0x7f). */
bool text_is_printable(const char *s);

/* s if it may be shown in an error's sentence, else "?". */
const char *text_for_error(const char *s);
