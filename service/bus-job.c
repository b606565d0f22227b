/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.berth1.Job. */

#include "bus.h"
#include "job.h"
#include "manager.h"
#include "bus-call.h"

int job_method_cancel(BusCall *q, sd_bus_error *error) {
        Job *j = job_of_path(q->manager, sd_bus_message_get_path(q->message));
        int r;

        r = bus_call_options(q, NULL, error);
        if (r < 0)
                return r;
        if (!j)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "There is no such job any more.");
        r = authorize_holder(q, j->uid == q->uid, error);
        if (r < 0)
                return r;
        job_cancel(j);
        return bus_call_reply(q, NULL);
}

#define GETTER(f)                                                                                                      \
        static int f(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, \
                     void *userdata, sd_bus_error *error)

GETTER(get_operation) {
        const Job *j = userdata;

        return sd_bus_message_append(reply, "s", job_kind_to_string(j->kind));
}

GETTER(get_progress) {
        const Job *j = userdata;

        return sd_bus_message_append(reply, "d", j->ended && j->error[0] == 0 ? 1.0 : 0.0);
}

/* A stream does not say how long it is. */
GETTER(get_progress_valid) {
        const Job *j = userdata;

        return sd_bus_message_append(reply, "b", j->ended && j->error[0] == 0);
}

GETTER(get_bytes) {
        const Job *j = userdata;

        return sd_bus_message_append(reply, "t", j->bytes);
}

GETTER(get_started_by) {
        const Job *j = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) j->uid);
}

GETTER(get_result) {
        const Job *j = userdata;

        return sd_bus_message_append(reply, "s", j->result);
}

GETTER(get_error) {
        const Job *j = userdata;

        return sd_bus_message_append(reply, "(ss)", j->error, j->message);
}

const sd_bus_vtable job_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Completed", SD_BUS_ARGS("s", result, "s", error, "s", message), 0),
        SD_BUS_PROPERTY("Operation", "s", get_operation, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Progress", "d", get_progress, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ProgressValid", "b", get_progress_valid, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Bytes", "t", get_bytes, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("StartedByUID", "u", get_started_by, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Result", "s", get_result, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Error", "(ss)", get_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};
