/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "supervisor.h"

typedef struct ExecCall {
        char **arguments, **environment;
        const char *cwd;
        uint64_t user, group, rows, columns;
        bool terminal;
        int standard[3];
} ExecCall;

/* exec-child.c. The fork in the payload's cgroups: never returns. */
_noreturn_ void exec_joiner(const Supervisor *s, const ExecCall *call, int socket);

/* watch.c: its status is known. */
void process_ended(Process *p, int status);
