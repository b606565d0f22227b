/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Records of slots and images as text. Written by berth-storage alone; a damaged one is refused, never guessed at. */

#include "record.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "text.h"
#include "util.h"

static const char *const kind_names[_SLOT_KIND_MAX] = {
        [SLOT_CONTAINER] = "container",
        [SLOT_IMAGE] = "image",
        [SLOT_TRASH] = "trash",
        [SLOT_DAMAGED] = "damaged",
};

const char *slot_kind_name(SlotKind kind) {
        assert(kind >= 0 && kind < _SLOT_KIND_MAX);

        return kind_names[kind];
}

static SlotKind slot_kind_parse(Span s) {
        /* Trash has no record, and damage none that says so. */
        for (SlotKind kind = SLOT_CONTAINER; kind <= SLOT_IMAGE; kind++)
                if (span_is(s, kind_names[kind]))
                        return kind;

        return _SLOT_KIND_INVALID;
}

static int span_copy(Span s, char *ret, size_t size) {
        if (s.n >= size || memchr(s.s, '\0', s.n))
                return -EUCLEAN;
        memcpy(ret, s.s, s.n);
        ret[s.n] = '\0';

        return 0;
}

enum { KEY_KIND, KEY_NAME, KEY_OWNER, KEY_CREATION, KEY_CREATED, KEY_IMAGE, _KEY_MAX };

static const char *const key_names[_KEY_MAX] = { "kind", "name", "owner", "creation", "created", "image" };

static int record_set(Record *r, size_t key, Span value) {
        uint64_t number;

        switch (key) {
        case KEY_KIND:
                r->kind = slot_kind_parse(value);
                return r->kind < 0 ? -EUCLEAN : 0;
        case KEY_NAME:
                return span_copy(value, r->name, sizeof(r->name)) < 0 || !name_is_valid(r->name) ? -EUCLEAN : 0;
        case KEY_OWNER:
                if (span_to_unsigned(value, UINT32_MAX - 1, &number) < 0)
                        return -EUCLEAN;
                r->owner = (uid_t) number;
                return 0;
        case KEY_CREATION:
                return span_copy(value, r->creation, sizeof(r->creation)) < 0 || !creation_id_is_valid(r->creation) ?
                        -EUCLEAN : 0;
        case KEY_CREATED:
                return span_to_unsigned(value, INT64_MAX, &r->created) < 0 ? -EUCLEAN : 0;
        default: /* KEY_IMAGE */
                if (span_copy(value, r->image, sizeof(r->image)) < 0)
                        return -EUCLEAN;
                return r->image[0] != '\0' && !name_is_valid(r->image) ? -EUCLEAN : 0;
        }
}

int record_parse(const char *text, size_t size, Record *ret) {
        Span rest = { text, size }, line, key;
        unsigned seen = 0;
        Record r = {};

        if (size == 0 || size > RECORD_SIZE_MAX || text[size - 1] != '\n')
                return -EUCLEAN;

        while (span_cut(&rest, '\n', &line)) {
                size_t k = 0;

                if (!memchr(line.s, '=', line.n) || !span_cut(&line, '=', &key))
                        return -EUCLEAN;
                while (k < _KEY_MAX && !span_is(key, key_names[k]))
                        k++;
                if (k == _KEY_MAX || (seen & (1U << k)) || record_set(&r, k, line) < 0)
                        return -EUCLEAN;
                seen |= 1U << k;
        }
        if (seen != (1U << _KEY_MAX) - 1)
                return -EUCLEAN;

        *ret = r;
        return 0;
}

size_t record_format_public(const Record *r, char ret[static RECORD_SIZE_MAX]) {
        int n;

        n = snprintf(ret, RECORD_SIZE_MAX, "kind=%s\nname=%s\nowner=%u\ncreation=%s\n", slot_kind_name(r->kind), r->name,
                     r->owner, r->creation);
        assert(n > 0 && (unsigned) n < RECORD_SIZE_MAX);

        return (size_t) n;
}

size_t record_format(const Record *r, char ret[static RECORD_SIZE_MAX]) {
        size_t size = record_format_public(r, ret);
        int n;

        n = snprintf(ret + size, RECORD_SIZE_MAX - size, "created=%" PRIu64 "\nimage=%s\n", r->created, r->image);
        assert(n > 0 && (size_t) n < RECORD_SIZE_MAX - size);

        return size + (size_t) n;
}
