/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names: whatever is accepted is one harmless path component. */

#include "names.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *s = malloc(size + 1);

        if (!s)
                abort();
        memcpy(s, data, size);
        s[size] = '\0';
        if (name_is_valid(s)) {
                if (!*s || strlen(s) > NAME_LENGTH_MAX || strstr(s, "..") || *s == '.' || *s == '-' || *s == '_')
                        abort();
                for (const char *c = s; *c; c++)
                        if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f || strchr("/%\\:\"'", *c))
                                abort();
        }
        (void) creation_id_is_valid(s);
        (void) layer_id_is_valid(s);
        free(s);
        return 0;
}
