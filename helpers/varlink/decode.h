/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Field tables: JSON object -> struct of our own, in one pass. Unknown, missing, repeated or mistyped fields, a
 * descriptor index that is out of range or used twice, and descriptors that nothing refers to are errors. */

#include "message.h"

typedef enum FieldType {
        FIELD_BOOL,       /* bool */
        FIELD_UNSIGNED,   /* uint64_t, within minimum .. maximum */
        FIELD_INTEGER,    /* int64_t, within (int64_t) minimum .. maximum */
        FIELD_STRING,     /* const char *, owned by the message; length 0 .. maximum, no control characters */
        FIELD_NAME,       /* const char *, name_is_valid() */
        FIELD_STRINGS,    /* char **: NULL-terminated, freed by the caller (only the array), at most maximum, each at most 4096 bytes
                             (control characters allowed but NUL, which JSON here cannot carry) */
        FIELD_DESCRIPTOR, /* int, taken out of the message; initialize to -EBADF */
        FIELD_DESCRIPTORS,/* Descriptors, taken out of the message; at most maximum */
        FIELD_OBJECT,     /* json_t *, borrowed: decode it with a table of its own */
        FIELD_ARRAY,      /* json_t *, borrowed: an array of at most maximum elements, each to be decoded with a table */
        _FIELD_TYPE_MAX,
} FieldType;

typedef struct Descriptors {
        int *fds;
        size_t n;
} Descriptors;

void descriptors_done(Descriptors *d);

typedef enum FieldFlags {
        FIELD_NULLABLE = 1 << 0, /* may be missing or null: the target keeps its value */
} FieldFlags;

typedef struct Field {
        const char *name;
        FieldType type;
        size_t offset;
        FieldFlags flags;
        uint64_t minimum, maximum;
} Field;

/* 0, or -EINVAL with *ret_field the name of the offending field. object NULL is {}. What was taken before an error is the
 * caller's to free (targets are initialized by the caller). */
int decode(json_t *object, const Field fields[], Message *m, void *target, const char **ret_field);

/* After all tables: -EINVAL if a descriptor was left over. */
int decode_check_descriptors(const Message *m);
