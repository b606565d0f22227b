/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For unit tests: a check that is there in every build and says what it saw. */

#include <stdio.h>
#include <stdlib.h>

#define check(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        (void) fprintf(stderr, "%s:%d: %s: not true\n", __FILE__, __LINE__, #condition);               \
                        exit(EXIT_FAILURE);                                                                            \
                }                                                                                                      \
        } while (0)

#define check_equal(a, b)                                                                                              \
        do {                                                                                                           \
                long long _a = (long long) (a), _b = (long long) (b);                                                  \
                if (_a != _b) {                                                                                        \
                        (void) fprintf(stderr, "%s:%d: %s is %lld, not %s (%lld)\n", __FILE__, __LINE__, #a, _a, #b,   \
                                       _b);                                                                            \
                        exit(EXIT_FAILURE);                                                                            \
                }                                                                                                      \
        } while (0)

#define skip_test(reason)                                                                                              \
        do {                                                                                                           \
                (void) fprintf(stderr, "skipped: %s\n", reason);                                                       \
                exit(77);                                                                                              \
        } while (0)
