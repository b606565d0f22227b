/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads root's limits, before the worker has seen a byte of anybody else. Believes a file that only root can write. */

#include "limits.h"
#include "mutation.h"
#include "text.h"
#include "util.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#define FILE_MAX (64U * 1024)
#define OVERFLOW_ID 65534U /* how an ID that our namespace does not have looks: the host's root, seen from inside */

static const Limits defaults = {
        .entries = 500000,
        .apparent = UINT64_C(20) << 30,
        .written = UINT64_C(8) << 30,
        .depth = 256,
        .path = PATH_LENGTH_MAX,
};

static const struct {
        const char *name;
        size_t offset;
        uint64_t max;
} keys[] = {
        { "archive.entries",  offsetof(Limits, entries),  UINT64_C(1) << 32 },
        { "archive.apparent", offsetof(Limits, apparent), UINT64_C(1) << 60 },
        { "archive.written",  offsetof(Limits, written),  UINT64_C(1) << 60 },
        { "archive.depth",    offsetof(Limits, depth),    PATH_LENGTH_MAX },
        { "archive.path",     offsetof(Limits, path),     PATH_LENGTH_MAX },
};

static Span trim(Span s) {
        while (s.n > 0 && (s.s[0] == ' ' || s.s[0] == '\t'))
                s = (Span) { s.s + 1, s.n - 1 };
        while (s.n > 0 && (s.s[s.n - 1] == ' ' || s.s[s.n - 1] == '\t'))
                s.n--;
        return s;
}

static int value_parse(Span s, uint64_t max, uint64_t *ret) {
        static const char units[] = "KMGT";
        unsigned shift = 0;
        const char *unit;
        uint64_t value;
        int r;

        unit = s.n > 0 && s.s[s.n - 1] != 0 ? strchr(units, s.s[s.n - 1]) : NULL;
        if (unit) {
                shift = 10 * ((unsigned) (unit - units) + 1);
                s.n--;
        }
        r = span_to_unsigned(s, max >> shift, &value);
        if (r < 0)
                return r;

        *ret = value << shift;
        return 0;
}

static int line_parse(Span line, Limits *l) {
        static const char group[] = "archive.";
        Span key;

        line = trim(line);
        if (line.n == 0 || line.s[0] == '#')
                return 0;
        if (!memchr(line.s, '=', line.n) || !span_cut(&line, '=', &key))
                return -EUCLEAN;
        key = trim(key);
        if (key.n < sizeof(group) - 1 || memcmp(key.s, group, sizeof(group) - 1) != 0)
                return 0;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (span_is(key, keys[i].name))
                        return value_parse(trim(line), keys[i].max, (uint64_t *) ((char *) l + keys[i].offset)) < 0
                                       ? -EUCLEAN
                                       : 0;
        return -EUCLEAN;
}

int limits_parse(const char *text, size_t size, Limits *ret) {
        Limits l = defaults;
        Span rest = { text, size }, line;
        int r;

        while (span_cut(&rest, '\n', &line)) {
                r = line_parse(line, &l);
                if (r < 0)
                        return r;
        }

        *ret = l;
        return 0;
}

/* From inside a user namespace the host's IDs cannot be told from one another, only from the container's. The folders
 * above the file are root's, so it is root who put it there. */
static int check_owner(const struct stat *st) {
        if (!S_ISREG(st->st_mode))
                return -EPERM;
        if (!MUTATION(limits_owner) && st->st_uid != OVERFLOW_ID)
                return -EPERM;
        if (!MUTATION(limits_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
                return -EPERM;

        return 0;
}

int limits_load(Limits *ret) {
        _cleanup_close_ int fd = -EBADF;
        char text[FILE_MAX + 1];
        struct stat st;
        size_t size = 0;
        ssize_t n;
        int r;

        fd = open(LIMITS_PATH, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        if (fd < 0) {
                if (errno != ENOENT)
                        return -errno;
                *ret = defaults;
                return 0;
        }
        if (fstat(fd, &st) < 0)
                return -errno;
        r = check_owner(&st);
        if (r < 0)
                return r;

        do {
                n = read(fd, text + size, sizeof(text) - size);
                if (n < 0 && errno != EINTR)
                        return -errno;
                size += n > 0 ? (size_t) n : 0;
        } while (n != 0 && size < sizeof(text));
        if (size == sizeof(text))
                return -EFBIG;

        return limits_parse(text, size, ret);
}
