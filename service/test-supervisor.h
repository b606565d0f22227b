/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The supervisor's part in the world of test-world.h, and what its two halves share. */

#include "test-world.h"

typedef struct WorldShared {
        Fault faults[_METHOD_MAX];
        int ready;
        size_t n;
        char log[65536];
} WorldShared;

typedef struct TestSupervisor {
        uint32_t slot;
        int connection; /* of the preface, or -EBADF */
        int listening;
        /* For one that runs already: */
        const char *name, *creation_id, *state;
        bool worker;
} TestSupervisor;

_noreturn_ void test_supervisor(WorldShared *shared, const TestSupervisor *with);

void world_log(WorldShared *shared, const char *format, ...) _printf_(2, 3);
Fault world_take_fault(WorldShared *shared, Method method);
bool world_answer(int fd, const char *interface, Fault fault, json_t *parameters, bool continues, int fds[], size_t *n_fds);
