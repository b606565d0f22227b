/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors on their way to the bus. Believes no text: a sentence may have been written by a taken-over supervisor. */

#include "bus-error.h"
#include "util.h"

#include <stdio.h>

const char *const bus_engine_errors[] = {
        "NoSuchImage",  "NoSuchSnapshot",  "AlreadyExists", "NotRunning",  "Running",   "Busy",     "InvalidArgument",
        "LimitReached", "StillUsed",       "HelperFailed",  "Unsupported", "TimedOut",  "Cancelled", "NotFound",
        "CannotExecute", "NoSuchContainer", "InvalidName",   NULL,
};

static const char *known_name(const char *name) {
        for (const char *const *i = bus_engine_errors; name && *i; i++)
                if (streq(*i, name))
                        return *i;
        return "HelperFailed";
}

static void sanitize(const char *from, char *to, size_t size) {
        size_t n = 0;

        for (; *from && n + 1 < size; from++)
                to[n++] = *from >= 0x20 && *from < 0x7f ? *from : '?';
        to[n] = 0;
}

void bus_error_from_engine(const EngineError *e, sd_bus_error *ret) {
        char name[64], sentence[ERROR_SENTENCE_MAX];

        (void) snprintf(name, sizeof(name), "org.berth1.Error.%s", known_name(e->error));
        sanitize(e->message ? e->message : "No reason was given.", sentence, sizeof(sentence));
        (void) sd_bus_error_set(ret, name, sentence);
}

int bus_error_internal(sd_bus_error *error, int r, const char *what) {
        if (r == -ENOMEM)
                return sd_bus_error_set(error, SD_BUS_ERROR_NO_MEMORY, "berthd has run out of memory.");
        errno = -r;
        return sd_bus_error_setf(error, SD_BUS_ERROR_IO_ERROR, "berthd failed to %s: %m.", what);
}
