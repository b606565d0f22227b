/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Configuration: whatever is accepted is written again as something that reads the same, and can be started from. */

#include "config.h"
#include "text-list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(config_done) Config c = {}, again = {};
        _cleanup_free_ char *reason = NULL, *text = NULL, *second = NULL;
        _cleanup_strv_ char **arguments = NULL, **environment = NULL;
        size_t n, n_second;

        if (config_parse((const char *) data, size, "file", &c, &reason) < 0)
                return 0;
        if (config_format(&c, &text, &n) < 0 || config_parse(text, n, "again", &again, NULL) < 0 ||
            config_format(&again, &second, &n_second) < 0 || n != n_second || memcmp(text, second, n) != 0)
                abort();
        if (config_init_arguments(&c, &arguments) < 0 || arguments[0][0] != '/' || config_environment(&c, NULL, &environment) < 0)
                abort();
        return 0;
}
