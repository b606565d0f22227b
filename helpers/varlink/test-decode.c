/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Field tables: each type right and wrong, unknown and missing fields, descriptors by index. */

#include "decode.h"
#include "test.h"

#include <fcntl.h>

typedef struct Target {
        bool flag;
        uint64_t number;
        int64_t integer;
        const char *string;
        const char *name;
        char **strings;
        int fd;
        Descriptors fds;
        json_t *object, *array;
} Target;

#define ALL FIELD_NULLABLE
static const Field fields[] = {
        { "flag", FIELD_BOOL, offsetof(Target, flag), ALL, 0, 0 },
        { "number", FIELD_UNSIGNED, offsetof(Target, number), ALL, 2, 10 },
        { "integer", FIELD_INTEGER, offsetof(Target, integer), ALL, (uint64_t) -1, 10 },
        { "string", FIELD_STRING, offsetof(Target, string), ALL, 1, 5 },
        { "name", FIELD_NAME, offsetof(Target, name), ALL, 0, 0 },
        { "strings", FIELD_STRINGS, offsetof(Target, strings), ALL, 0, 2 },
        { "fileDescriptor", FIELD_DESCRIPTOR, offsetof(Target, fd), ALL, 0, 0 },
        { "fileDescriptors", FIELD_DESCRIPTORS, offsetof(Target, fds), ALL, 0, 2 },
        { "object", FIELD_OBJECT, offsetof(Target, object), ALL, 0, 0 },
        { "array", FIELD_ARRAY, offsetof(Target, array), ALL, 0, 2 },
        {},
};

static Target t;
static char field[64];

/* n_fds descriptors come along. */
static int run(const char *text, size_t n_fds, int *ret_left) {
        const char *at = "";
        Message m = {};
        int r;

        descriptors_done(&t.fds);
        free(t.strings);
        t = (Target) { .fd = -EBADF };
        field[0] = '\0';
        check_equal(message_parse(text, strlen(text), MESSAGE_IN_MAX, &m.json), 0);
        m.fds = calloc(n_fds + 1, sizeof(int));
        check(m.fds);
        for (; m.n_fds < n_fds; m.n_fds++)
                m.fds[m.n_fds] = fcntl(0, F_DUPFD_CLOEXEC, 3);
        r = decode(m.json, fields, &m, &t, &at);
        (void) snprintf(field, sizeof(field), "%s", at); /* it may belong to the message */
        if (ret_left)
                *ret_left = decode_check_descriptors(&m);
        message_done(&m);
        closep(&t.fd);
        return r;
}

static void refused(const char *text, const char *at) {
        check_equal(run(text, 2, NULL), -EINVAL);
        if (!streq(field, at)) {
                (void) fprintf(stderr, "%s: refused at \"%s\", not \"%s\"\n", text, field, at);
                exit(EXIT_FAILURE);
        }
}

int main(void) {
        int left;

        message_init();
        check_equal(run("{}", 0, &left), 0);
        check_equal(left, 0);
        check_equal(run("{\"flag\":true,\"number\":10,\"integer\":-1,\"string\":\"abcde\",\"name\":\"web1\",\"strings\":[\"a\\n\",\"\"]}", 0, NULL), 0);
        check(t.flag && t.number == 10 && t.integer == -1);
        check_equal(run("{\"fileDescriptor\":1,\"fileDescriptors\":[0]}", 2, &left), 0);
        check_equal(t.fds.n, 1);
        check_equal(left, 0);
        check_equal(run("{\"fileDescriptor\":1}", 2, &left), 0);
        check_equal(left, -EINVAL);
        check_equal(run("{\"flag\":null}", 0, NULL), 0);
        check_equal(run("{\"object\":{},\"array\":[1,{}]}", 0, NULL), 0);

        refused("{\"unknown\":1}", "unknown");
        refused("{\"flag\":1}", "flag");
        refused("{\"number\":11}", "number");
        refused("{\"number\":1}", "number");
        refused("{\"number\":-1}", "number");
        refused("{\"number\":2.5}", "number");
        refused("{\"number\":\"2\"}", "number");
        refused("{\"integer\":-2}", "integer");
        refused("{\"integer\":11}", "integer");
        refused("{\"string\":\"abcdef\"}", "string");
        refused("{\"string\":\"\"}", "string");
        refused("{\"string\":\"a\\nb\"}", "string");
        refused("{\"string\":[]}", "string");
        refused("{\"name\":\"../x\"}", "name");
        refused("{\"strings\":[\"a\",\"b\",\"c\"]}", "strings");
        refused("{\"strings\":[1]}", "strings");
        refused("{\"strings\":\"a\"}", "strings");
        refused("{\"fileDescriptor\":2}", "fileDescriptor");
        refused("{\"fileDescriptor\":-1}", "fileDescriptor");
        refused("{\"fileDescriptor\":\"0\"}", "fileDescriptor");
        refused("{\"fileDescriptor\":0,\"fileDescriptors\":[0]}", "fileDescriptors");
        refused("{\"fileDescriptors\":[1,1]}", "fileDescriptors");
        refused("{\"fileDescriptors\":[0,1,0]}", "fileDescriptors");
        refused("{\"object\":[]}", "object");
        refused("{\"array\":{}}", "array");
        refused("{\"array\":[1,2,3]}", "array");
        return 0;
}
