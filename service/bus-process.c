/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.berth1.Process: for the connection that started it, and root. As with snapshots, an object of this interface seems to
 * be at every number: which programs run is nobody else's business. */

#include "bus.h"
#include "bus-error.h"
#include "manager.h"
#include "process.h"
#include "bus-call.h"

#define SIGNAL_MAX 64
#define TERMINAL_SIZE_MAX 65535U

/* Who holds none hears the same about a process that is there and one that is not. */
static int find_held(BusCall *q, Process **ret, sd_bus_error *error) {
        Process *p = process_of_path(q->manager, sd_bus_message_get_path(q->message));
        int r;

        r = authorize_holder(q, p && p->starter == q->caller, error);
        if (r < 0)
                return r;
        if (!p)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "There is no such process any more.");
        *ret = p;
        return 0;
}

static int check_running(const Process *p, sd_bus_error *error) {
        if (p->ended)
                return sd_bus_error_set(error, ERROR_NOT_RUNNING, "The process has ended.");
        return 0;
}

static void on_done(void *userdata, const EngineError *error) {
        BusCall *q = userdata;

        if (error)
                (void) bus_call_fail_engine(q, error);
        else
                (void) bus_call_reply(q, NULL);
}

int process_method_signal(BusCall *q, sd_bus_error *error) {
        Process *p;
        int signal, r;

        r = sd_bus_message_read(q->message, "i", &signal);
        if (r >= 0)
                r = bus_call_options(q, NULL, error);
        if (r < 0)
                return r;
        if (signal < 1 || signal > SIGNAL_MAX)
                return sd_bus_error_set(error, ERROR_INVALID_ARGUMENT, "A signal is a number from 1 to 64.");
        r = find_held(q, &p, error);
        if (r >= 0)
                r = check_running(p, error);
        if (r < 0)
                return r;
        r = engine_process_signal(q->manager->engine, p->slot, p->engine_id, signal, (Done) { on_done, q });
        if (r < 0)
                return bus_error_internal(error, r, "signal the process");
        return 0;
}

int process_method_resize(BusCall *q, sd_bus_error *error) {
        uint32_t rows, columns;
        Process *p;
        int r;

        r = sd_bus_message_read(q->message, "uu", &rows, &columns);
        if (r >= 0)
                r = bus_call_options(q, NULL, error);
        if (r < 0)
                return r;
        if (rows > TERMINAL_SIZE_MAX || columns > TERMINAL_SIZE_MAX)
                return sd_bus_error_set(error, ERROR_INVALID_ARGUMENT, "A terminal has at most 65535 rows and columns.");
        r = find_held(q, &p, error);
        if (r >= 0)
                r = check_running(p, error);
        if (r < 0)
                return r;
        r = engine_process_resize(q->manager->engine, p->slot, p->engine_id, rows, columns, (Done) { on_done, q });
        if (r < 0)
                return bus_error_internal(error, r, "resize the terminal");
        return 0;
}

int process_properties(BusCall *q, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(q->message);
        Process *p;
        int r;

        r = find_held(q, &p, error);
        if (r < 0)
                return r;
        return bus_properties_answer(q, process_vtable, path, BUS_INTERFACE_PROCESS, p, false, error);
}

#define GETTER(f)                                                                                                      \
        static int f(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, \
                     void *userdata, sd_bus_error *error)

GETTER(get_pid) {
        const Process *p = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) p->pid);
}

GETTER(get_status) {
        const Process *p = userdata;

        return sd_bus_message_append(reply, "i", p->status);
}

GETTER(get_signal) {
        const Process *p = userdata;

        return sd_bus_message_append(reply, "i", p->signal);
}


const sd_bus_vtable process_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Signal", SD_BUS_ARGS("i", signal, "a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resize", SD_BUS_ARGS("u", rows, "u", columns, "a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Exited", SD_BUS_ARGS("i", status, "i", signal), 0),
        SD_BUS_PROPERTY("PID", "u", get_pid, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
        SD_BUS_PROPERTY("ExitStatus", "i", get_status, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
        SD_BUS_PROPERTY("ExitSignal", "i", get_signal, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
        SD_BUS_VTABLE_END,
};
