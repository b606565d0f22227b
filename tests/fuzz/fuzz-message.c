/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bounding scan, and behind it jansson: whatever the scan lets through, the parser takes or refuses; what it takes can be
 * written and read again to the same value. */

#include "message.h"
#include "scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_t *json, *again;
        size_t length;
        char *text;

        if (message_parse((const char *) data, size, MESSAGE_IN_MAX, &json) < 0)
                return 0;
        if (message_compose(json, &text, &length) == 0) {
                if (message_parse(text, length - 1, MESSAGE_OUT_MAX, &again) < 0 || !json_equal(json, again))
                        abort();
                json_decref(again);
                free(text);
        }
        json_decref(json);
        return 0;
}
