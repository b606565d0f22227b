/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the store knows about a slot beside its layers: `key=value` lines, each key once, none left out. Pure functions. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "names.h"

#define RECORD_SIZE_MAX 512U

typedef enum SlotKind {
        SLOT_CONTAINER,
        SLOT_IMAGE, /* an image that is being unpacked, or one that is published */
        SLOT_TRASH,
        SLOT_DAMAGED, /* never written: what is there cannot be read */
        _SLOT_KIND_MAX,
        _SLOT_KIND_INVALID = -22,
} SlotKind;

typedef struct Record {
        SlotKind kind;
        char name[NAME_LENGTH_MAX + 1];
        uid_t owner;
        char creation[CREATION_ID_LENGTH + 1];
        uint64_t created;               /* µs since 1970 */
        char image[NAME_LENGTH_MAX + 1]; /* "" if none */
} Record;

const char *slot_kind_name(SlotKind kind);

int record_parse(const char *text, size_t size, Record *ret); /* -EUCLEAN */
/* The whole record, or what everyone may know of it; returns the length. */
size_t record_format(const Record *r, char ret[static RECORD_SIZE_MAX]);
size_t record_format_public(const Record *r, char ret[static RECORD_SIZE_MAX]);
