/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The grammar of names. Pure functions; every program that takes a name from outside calls these and no others. */

#include "names.h"
#include "mutation.h"

#include <stddef.h>

static bool is_alphanumeric(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_is_valid(const char *name) {
        size_t n = 0;

        if (!name || !is_alphanumeric(name[0]))
                return false;

        for (; name[n]; n++) {
                if (n >= NAME_LENGTH_MAX)
                        return false;
                if (!MUTATION(name_characters) && !is_alphanumeric(name[n]) && name[n] != '.' && name[n] != '_' &&
                    name[n] != '-')
                        return false;
                if (!MUTATION(name_dots) && name[n] == '.' && name[n + 1] == '.')
                        return false;
        }

        return true;
}

static bool is_hexadecimal(const char *s, size_t length) {
        size_t n = 0;

        if (!s)
                return false;

        for (; s[n]; n++)
                if (n >= length || !((s[n] >= '0' && s[n] <= '9') || (s[n] >= 'a' && s[n] <= 'f')))
                        return false;

        return n == length;
}

bool creation_id_is_valid(const char *id) {
        return is_hexadecimal(id, CREATION_ID_LENGTH);
}

bool layer_id_is_valid(const char *id) {
        return is_hexadecimal(id, LAYER_ID_LENGTH);
}
