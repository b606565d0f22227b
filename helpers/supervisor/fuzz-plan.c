/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Launch plans: a Create's parameters, from bytes to what the first process is made from. */

#include "launch.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void supervisor_log(const char *format, ...) {
        (void) format;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(message_done) Message m = {};
        Connection c = { .fd = -EBADF };
        static Supervisor s;
        LaunchPlan plan;
        bool worker;

        if (message_parse((const char *) data, size, MESSAGE_IN_MAX, &m.json) < 0)
                return 0;
        if (plan_decode(&s, &c, m.json, &m, &plan, &worker) < 0)
                return 0;
        if (!name_is_valid(plan.name) || !creation_id_is_valid(plan.creation_id) ||
            strlen(plan.hostname) > HOSTNAME_LENGTH_MAX || plan.hostname[0] == 0 || plan.arguments[0][0] != '/' ||
            plan.cwd[0] != '/' || !environment_is_valid(plan.environment))
                abort();
        plan_done(&plan);
        return 0;
}
