/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names: what is one and, line by line, what is not. */

#include "names.h"
#include "test.h"

#include <string.h>

int main(void) {
        static const char *const good[] = { "a", "0", "web1", "A.b_c-d", "a.", "a.b.c", "x--__y" };
        static const char *const bad[] = { "", ".", "..", "-a", "_a", ".a", "a..b", "a/b", "a b", "a\nb", "a%b", "a\x01", "é", "a:b" };
        char name[NAME_LENGTH_MAX + 2];

        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                check(name_is_valid(good[i]));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                check(!name_is_valid(bad[i]));
        check(!name_is_valid(NULL));

        memset(name, 'x', sizeof(name));
        name[NAME_LENGTH_MAX] = '\0';
        check(name_is_valid(name));
        name[NAME_LENGTH_MAX] = 'x';
        name[NAME_LENGTH_MAX + 1] = '\0';
        check(!name_is_valid(name));

        check(creation_id_is_valid("0123456789abcdef0123456789abcdef"));
        check(!creation_id_is_valid("0123456789abcdef0123456789abcdeF"));
        check(!creation_id_is_valid("0123456789abcdef0123456789abcde"));
        check(!creation_id_is_valid("0123456789abcdef0123456789abcdef0"));
        check(layer_id_is_valid("0123456789abcdef"));
        check(!layer_id_is_valid("0123456789abcde/"));
        check(!layer_id_is_valid(NULL));
        return 0;
}
