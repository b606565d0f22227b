/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading small system files without stdio and without locale. Called before seccomp by privileged programs. */

#include "text.h"
#include "util.h"

#include <fcntl.h>
#include <sys/stat.h>

int text_read(const char *path, size_t max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        size_t room = 4096, size = 0;
        struct stat st;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (st.st_size > 0 && (uint64_t) st.st_size < max)
                room = (size_t) st.st_size + 2;

        for (;;) {
                char *grown;
                ssize_t n;

                grown = realloc(text, room);
                if (!grown)
                        return -ENOMEM;
                text = grown;
                n = read(fd, text + size, room - 1 - size);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > max)
                        return -EFBIG;
                if (size + 1 == room)
                        room *= 2;
        }

        text[size] = '\0';
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

bool span_cut(Span *rest, char separator, Span *ret) {
        const char *end;

        if (rest->n == 0)
                return false;

        end = memchr(rest->s, separator, rest->n);
        if (!end) {
                *ret = *rest;
                *rest = (Span) {};
                return true;
        }

        *ret = (Span) { rest->s, (size_t) (end - rest->s) };
        *rest = (Span) { end + 1, rest->n - ret->n - 1 };
        return true;
}

bool span_is(Span s, const char *word) {
        return s.n == strlen(word) && (s.n == 0 || memcmp(s.s, word, s.n) == 0);
}

int span_to_unsigned(Span s, uint64_t max, uint64_t *ret) {
        uint64_t value = 0;

        if (s.n == 0 || (s.n > 1 && s.s[0] == '0'))
                return -EINVAL;

        for (size_t i = 0; i < s.n; i++) {
                unsigned digit = (unsigned char) s.s[i] - '0';

                if (digit > 9)
                        return -EINVAL;
                if (value > (UINT64_MAX - digit) / 10)
                        return -ERANGE;
                value = value * 10 + digit;
        }
        if (value > max)
                return -ERANGE;

        *ret = value;
        return 0;
}
