/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.berth1.Container. Order in every method: arguments, object, authorization; the container's state is looked at after
 * that, by the verb. */

#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "limits.h"
#include "manager.h"
#include "bus-call.h"
#include "text-list.h"

#define SIGNAL_MAX 64

static int authorize_container(BusCall *q, const Container *c, sd_bus_error *error) {
        Subject s = subject_of_container(c);

        return authorize(q, &s, error);
}

int container_method_start(BusCall *q, sd_bus_error *error) {
        Container *c;
        int r;

        r = bus_call_options(q, NULL, error);
        if (r >= 0)
                r = bus_call_container(q, &c, error);
        if (r >= 0)
                r = authorize_container(q, c, error);
        if (r <= 0)
                return r;
        return container_start(c, q, error);
}

int container_method_stop(BusCall *q, sd_bus_error *error) {
        uint64_t timeout = STOP_TIMEOUT_USEC;
        const Option options[] = { { "timeout", "t", &timeout }, {} };
        Container *c;
        int r;

        r = bus_call_options(q, options, error);
        if (r >= 0)
                r = bus_call_container(q, &c, error);
        if (r < 0)
                return r;
        if (timeout > STOP_TIMEOUT_MAX_USEC)
                return sd_bus_error_set(error, ERROR_INVALID_ARGUMENT, "A stop's timeout is at most a day.");
        r = authorize_container(q, c, error);
        if (r <= 0)
                return r;
        return container_stop(c, timeout, q, error);
}

int container_method_kill(BusCall *q, sd_bus_error *error) {
        Container *c;
        int signal, r;
        Subject s;

        r = sd_bus_message_read(q->message, "i", &signal);
        if (r >= 0)
                r = bus_call_options(q, NULL, error);
        if (r >= 0)
                r = bus_call_container(q, &c, error);
        if (r < 0)
                return r;
        if (signal < 1 || signal > SIGNAL_MAX)
                return sd_bus_error_set(error, ERROR_INVALID_ARGUMENT, "A signal is a number from 1 to 64.");
        s = subject_of_container(c);
        s.signal = signal;
        r = authorize(q, &s, error);
        if (r <= 0)
                return r;
        return container_kill(c, signal, q, error);
}

int container_method_destroy(BusCall *q, sd_bus_error *error) {
        int snapshots = false, r;
        const Option options[] = { { "snapshots", "b", &snapshots }, {} };
        Container *c;

        r = bus_call_options(q, options, error);
        if (r >= 0)
                r = bus_call_container(q, &c, error);
        if (r >= 0)
                r = authorize_container(q, c, error);
        if (r <= 0)
                return r;
        return container_destroy(c, snapshots, q, error);
}

/* A string argument that is a name, the options, the object. */
static int read_name(BusCall *q, const Option options[], const char **ret_name, bool may_be_empty, Container **ret_container,
                     sd_bus_error *error) {
        int r;

        r = sd_bus_message_read(q->message, "s", ret_name);
        if (r >= 0)
                r = bus_call_options(q, options, error);
        if (r >= 0 && !(may_be_empty && (*ret_name)[0] == 0))
                r = bus_call_check_name(*ret_name, error);
        if (r < 0)
                return r;
        return bus_call_container(q, ret_container, error);
}

int container_method_rename(BusCall *q, sd_bus_error *error) {
        const char *name;
        Container *c;
        Subject s;
        int r;

        r = read_name(q, NULL, &name, false, &c, error);
        if (r < 0)
                return r;
        s = subject_of_container(c);
        s.name = name;
        r = authorize(q, &s, error);
        if (r <= 0)
                return r;
        return container_rename(c, name, q, error);
}

int container_method_clone(BusCall *q, sd_bus_error *error) {
        const char *name, *snapshot = NULL;
        const Option options[] = { { "snapshot", "s", &snapshot }, {} };
        Container *c;
        Subject s;
        int r;

        r = read_name(q, options, &name, false, &c, error);
        if (r >= 0 && snapshot)
                r = bus_call_check_name(snapshot, error);
        if (r < 0)
                return r;
        s = subject_of_container(c);
        s.name = name;
        s.snapshot = snapshot;
        r = authorize(q, &s, error);
        if (r <= 0)
                return r;
        return container_clone(c, name, snapshot, q, error);
}

int container_method_take_snapshot(BusCall *q, sd_bus_error *error) {
        const char *name, *comment = "";
        const Option options[] = { { "comment", "s", &comment }, {} };
        Container *c;
        Subject s;
        int r;

        r = read_name(q, options, &name, true, &c, error);
        if (r < 0)
                return r;
        if (strlen(comment) > LIMIT_COMMENT)
                return sd_bus_error_setf(error, ERROR_INVALID_ARGUMENT, "A comment has at most %u bytes.", LIMIT_COMMENT);
        s = subject_of_container(c);
        s.snapshot = name;
        r = authorize(q, &s, error);
        if (r <= 0)
                return r;
        return container_take_snapshot(c, name, comment, q, error);
}

int container_method_restore_snapshot(BusCall *q, sd_bus_error *error) {
        const char *name;
        Container *c;
        Subject s;
        int r;

        r = read_name(q, NULL, &name, false, &c, error);
        if (r < 0)
                return r;
        s = subject_of_container(c);
        s.snapshot = name;
        r = authorize(q, &s, error);
        if (r <= 0)
                return r;
        return container_restore(c, name, q, error);
}

int container_properties(BusCall *q, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(q->message);
        bool granted;
        Container *c;
        Subject s;
        int r;

        /* Never interactive, whatever the message's flag: nobody is asked for a password because a list is shown. */
        r = bus_call_container(q, &c, error);
        if (r < 0)
                return r;
        s = subject_of_container(c);
        r = authorize_or_less(q, &s, &granted, error);
        if (r <= 0)
                return r;
        return bus_properties_answer(q, container_vtable, path, BUS_INTERFACE_CONTAINER, c, !granted, error);
}

#define GETTER(f)                                                                                                      \
        static int f(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, \
                     void *userdata, sd_bus_error *error)

GETTER(get_name) {
        const Container *c = userdata;

        return sd_bus_message_append(reply, "s", c->name);
}

GETTER(get_state) {
        const Container *c = userdata;

        return sd_bus_message_append(reply, "s", container_state_to_string(c->state));
}

GETTER(get_owner) {
        const Container *c = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) c->owner);
}

GETTER(get_init) {
        const Container *c = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) c->init_pid);
}

GETTER(get_range) {
        const Container *c = userdata;

        return sd_bus_message_append(reply, "(uu)", (uint32_t) c->range_base, c->range_size);
}

GETTER(get_created) {
        const Container *c = userdata;

        return sd_bus_message_append(reply, "t", c->created);
}

GETTER(get_image) {
        const Container *c = userdata;

        return sd_bus_message_append(reply, "s", c->image);
}

GETTER(get_snapshots) {
        const Container *c = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sts)");
        for (size_t i = 0; r >= 0 && i < c->n_snapshots; i++)
                r = sd_bus_message_append(reply, "(sts)", c->snapshots[i].name, c->snapshots[i].created,
                                          state_comment(&c->state_file, c->snapshots[i].name));
        if (r < 0)
                return r;
        return sd_bus_message_close_container(reply);
}

#define PUBLIC(member, signature, get) SD_BUS_PROPERTY(member, signature, get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define PRIVATE(member, signature, get)                                                                                \
        SD_BUS_PROPERTY(member, signature, get, 0,                                                                     \
                        SD_BUS_VTABLE_PROPERTY_EXPLICIT | SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION)

const sd_bus_vtable container_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Start", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Stop", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("i", signal, "a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Destroy", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Rename", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Clone", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_RESULT("o", path), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("TakeSnapshot", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_RESULT("o", path), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RestoreSnapshot", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Exec", SD_BUS_ARGS("as", argv, "a{sv}", options), SD_BUS_RESULT("o", process, "h", in, "h", out, "h", err), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        PUBLIC("Name", "s", get_name),
        PUBLIC("State", "s", get_state),
        PUBLIC("OwnerUID", "u", get_owner),
        PRIVATE("InitPID", "u", get_init),
        PRIVATE("IDRange", "(uu)", get_range),
        PRIVATE("CreatedAt", "t", get_created),
        PRIVATE("Image", "s", get_image),
        PRIVATE("Snapshots", "a(sts)", get_snapshots),
        SD_BUS_VTABLE_END,
};
