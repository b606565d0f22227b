/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The decoder that the field tables drive. Runs with the method's capabilities on values of the peer. */

#include "decode.h"
#include "mutation.h"
#include "names.h"

#include <string.h>

#define STRING_IN_LIST_MAX 4096U

void descriptors_done(Descriptors *d) {
        for (size_t i = 0; i < d->n; i++)
                closep(&d->fds[i]);
        free(d->fds);
        *d = (Descriptors) {};
}

static bool has_control(const char *s) {
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        return true;

        return false;
}

/* Takes the descriptor with that index out of the message: a second field that names it finds it gone. */
static int take_index(json_t *value, Message *m, int *ret) {
        json_int_t index;

        if (!json_is_integer(value))
                return -EINVAL;
        index = json_integer_value(value);
        if (index < 0 || (json_int_t) m->n_fds <= index || m->fds[index] < 0)
                return -EINVAL;

        *ret = MUTATION(descriptor_twice) ? dup(m->fds[index]) : take_fd(&m->fds[index]);
        return 0;
}

static int decode_descriptors(json_t *value, uint64_t maximum, Message *m, Descriptors *ret) {
        _cleanup_(descriptors_done) Descriptors d = {};
        size_t n;

        if (!json_is_array(value) || json_array_size(value) > maximum)
                return -EINVAL;
        n = json_array_size(value);
        d.fds = malloc((n + 1) * sizeof(int));
        if (!d.fds)
                return -ENOMEM;
        for (; d.n < n; d.n++)
                if (take_index(json_array_get(value, d.n), m, &d.fds[d.n]) < 0)
                        return -EINVAL;

        *ret = d;
        d = (Descriptors) {};
        return 0;
}

static int decode_strings(json_t *value, uint64_t maximum, char ***ret) {
        size_t n;
        char **list;

        if (!json_is_array(value) || json_array_size(value) > maximum)
                return -EINVAL;
        n = json_array_size(value);
        for (size_t i = 0; i < n; i++) {
                json_t *s = json_array_get(value, i);

                if (!json_is_string(s) || json_string_length(s) > STRING_IN_LIST_MAX)
                        return -EINVAL;
        }
        list = calloc(n + 1, sizeof(char *));
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                list[i] = (char *) json_string_value(json_array_get(value, i));

        *ret = list;
        return 0;
}

static int decode_field(json_t *value, const Field *f, Message *m, void *target) {
        switch (f->type) {

        case FIELD_BOOL:
                if (!json_is_boolean(value))
                        return -EINVAL;
                *(bool *) target = json_is_true(value);
                return 0;

        case FIELD_UNSIGNED:
                if (!json_is_integer(value) || json_integer_value(value) < 0 ||
                    (uint64_t) json_integer_value(value) < f->minimum ||
                    (!MUTATION(field_range) && (uint64_t) json_integer_value(value) > f->maximum))
                        return -EINVAL;
                *(uint64_t *) target = (uint64_t) json_integer_value(value);
                return 0;

        case FIELD_INTEGER:
                if (!json_is_integer(value) || json_integer_value(value) < (int64_t) f->minimum ||
                    json_integer_value(value) > (int64_t) f->maximum)
                        return -EINVAL;
                *(int64_t *) target = json_integer_value(value);
                return 0;

        case FIELD_STRING:
                if (!json_is_string(value) || (!MUTATION(string_length) && json_string_length(value) > f->maximum) ||
                    json_string_length(value) < f->minimum || has_control(json_string_value(value)))
                        return -EINVAL;
                *(const char **) target = json_string_value(value);
                return 0;

        case FIELD_NAME:
                if (!json_is_string(value) || !name_is_valid(json_string_value(value)))
                        return -EINVAL;
                *(const char **) target = json_string_value(value);
                return 0;

        case FIELD_STRINGS:
                return decode_strings(value, f->maximum, target);

        case FIELD_DESCRIPTOR:
                return take_index(value, m, target);

        case FIELD_DESCRIPTORS:
                return decode_descriptors(value, f->maximum, m, target);

        case FIELD_OBJECT:
                if (!json_is_object(value))
                        return -EINVAL;
                *(json_t **) target = value;
                return 0;

        case FIELD_ARRAY:
                if (!json_is_array(value) || json_array_size(value) > f->maximum)
                        return -EINVAL;
                *(json_t **) target = value;
                return 0;

        case _FIELD_TYPE_MAX:
                break;
        }

        return -EINVAL;
}

static const Field *find_field(const Field fields[], const char *name) {
        for (const Field *f = fields; f->name; f++)
                if (streq(f->name, name))
                        return f;

        return NULL;
}

int decode(json_t *object, const Field fields[], Message *m, void *target, const char **ret_field) {
        const char *key;
        json_t *value;

        json_object_foreach(object, key, value)
                if (!MUTATION(field_unknown) && !find_field(fields, key)) {
                        *ret_field = key;
                        return -EINVAL;
                }

        for (const Field *f = fields; f->name; f++) {
                int r;

                value = json_object_get(object, f->name);
                if (!value || json_is_null(value)) {
                        if (f->flags & FIELD_NULLABLE)
                                continue;
                        *ret_field = f->name;
                        return -EINVAL;
                }
                r = decode_field(value, f, m, (char *) target + f->offset);
                if (r < 0) {
                        *ret_field = f->name;
                        return r;
                }
        }

        return 0;
}

int decode_check_descriptors(const Message *m) {
        for (size_t i = 0; i < m->n_fds; i++)
                if (!MUTATION(descriptor_left) && m->fds[i] >= 0)
                        return -EINVAL;

        return 0;
}
