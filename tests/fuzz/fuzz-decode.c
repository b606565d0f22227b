/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The decoder: one table with every type of field, on any object, with four descriptors along. None may be lost or closed
 * twice: they are numbers that are never open, so the test watches by itself. */

#include "decode.h"

#include <fcntl.h>

typedef struct Target {
        bool flag;
        uint64_t number;
        int64_t integer;
        const char *string, *name;
        char **strings;
        int fd;
        Descriptors fds;
        json_t *object;
} Target;

#define N FIELD_NULLABLE
static const Field fields[] = {
        { "b", FIELD_BOOL, offsetof(Target, flag), N, 0, 0 },
        { "u", FIELD_UNSIGNED, offsetof(Target, number), N, 2, 1000 },
        { "i", FIELD_INTEGER, offsetof(Target, integer), N, (uint64_t) -5, 5 },
        { "s", FIELD_STRING, offsetof(Target, string), N, 1, 64 },
        { "n", FIELD_NAME, offsetof(Target, name), N, 0, 0 },
        { "l", FIELD_STRINGS, offsetof(Target, strings), N, 0, 8 },
        { "f", FIELD_DESCRIPTOR, offsetof(Target, fd), N, 0, 0 },
        { "d", FIELD_DESCRIPTORS, offsetof(Target, fds), N, 0, 3 },
        { "o", FIELD_OBJECT, offsetof(Target, object), N, 0, 0 },
        {},
};

static int open_count(const int fds[4]) {
        int n = 0;

        for (int i = 0; i < 4; i++)
                n += fcntl(fds[i], F_GETFD) >= 0;
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Target t = { .fd = -EBADF, .number = 2 };
        const char *field = NULL;
        Message m = {};
        int fds[4];

        if (message_parse((const char *) data, size, MESSAGE_IN_MAX, &m.json) < 0)
                return 0;
        m.fds = calloc(4, sizeof(int));
        if (!m.fds)
                abort();
        for (; m.n_fds < 4; m.n_fds++)
                fds[m.n_fds] = m.fds[m.n_fds] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 64);

        if (decode(m.json, fields, &m, &t, &field) == 0) {
                if (t.number < 2 || t.number > 1000 || t.integer < -5 || t.integer > 5 || t.fds.n > 3 ||
                    (t.string && strlen(t.string) > 64))
                        abort();
                if (open_count(fds) != 4)
                        abort();
        } else if (!field)
                abort();

        closep(&t.fd);
        descriptors_done(&t.fds);
        free(t.strings);
        message_done(&m);
        if (open_count(fds) != 0)
                abort();
        return 0;
}
