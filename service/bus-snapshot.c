/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.berth1.Snapshot. An object of this interface seems to be at every well-formed path below a container, since who may
 * not look shall not learn which snapshots there are; whether it exists is said after authorization. */

#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "manager.h"
#include "bus-call.h"

static int find(BusCall *q, Container **ret, char **ret_snapshot, sd_bus_error *error) {
        Container *c = container_of_snapshot_path(q->manager, sd_bus_message_get_path(q->message), ret_snapshot);

        if (!c)
                return sd_bus_error_set(error, ERROR_NO_SUCH_CONTAINER, "There is no such container.");
        *ret = c;
        return 0;
}

int snapshot_method_remove(BusCall *q, sd_bus_error *error) {
        _cleanup_free_ char *snapshot = NULL;
        Container *c = NULL;
        Subject s;
        int r;

        r = bus_call_options(q, NULL, error);
        if (r >= 0)
                r = find(q, &c, &snapshot, error);
        if (r < 0)
                return r;
        s = subject_of_container(c);
        s.snapshot = snapshot;
        r = authorize(q, &s, error);
        if (r <= 0)
                return r;
        return container_remove_snapshot(c, snapshot, q, error);
}

int snapshot_properties(BusCall *q, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(q->message);
        _cleanup_free_ char *snapshot = NULL;
        Container *c = NULL;
        bool granted;
        Subject s;
        int r;

        r = find(q, &c, &snapshot, error);
        if (r < 0)
                return r;
        s = subject_of_container(c);
        r = authorize_or_less(q, &s, &granted, error);
        if (r <= 0)
                return r;
        if (granted && !container_snapshot(c, snapshot))
                return sd_bus_error_setf(error, ERROR_NO_SUCH_SNAPSHOT, "Container '%s' has no snapshot '%s'.", c->name, snapshot);
        return bus_properties_answer(q, snapshot_vtable, path, BUS_INTERFACE_SNAPSHOT, c, !granted, error);
}

static const EngineSnapshot *snapshot_of_path(const Container *c, const char *path) {
        _cleanup_free_ char *snapshot = NULL;

        return container_of_snapshot_path(c->manager, path, &snapshot) == c ? container_snapshot(c, snapshot) : NULL;
}

#define GETTER(f)                                                                                                      \
        static int f(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, \
                     void *userdata, sd_bus_error *error)

GETTER(get_name) {
        const EngineSnapshot *s = snapshot_of_path(userdata, path);

        return s ? sd_bus_message_append(reply, "s", s->name) : -ENOENT;
}

GETTER(get_container) {
        _cleanup_free_ char *container = NULL;
        int r;

        r = container_path(userdata, &container);
        if (r < 0)
                return r;
        return sd_bus_message_append(reply, "o", container);
}

GETTER(get_created) {
        const EngineSnapshot *s = snapshot_of_path(userdata, path);

        return s ? sd_bus_message_append(reply, "t", s->created) : -ENOENT;
}

GETTER(get_comment) {
        const EngineSnapshot *s = snapshot_of_path(userdata, path);
        const Container *c = userdata;

        return s ? sd_bus_message_append(reply, "s", state_comment(&c->state_file, s->name)) : -ENOENT;
}

#define PRIVATE(member, signature, get)                                                                                \
        SD_BUS_PROPERTY(member, signature, get, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT | SD_BUS_VTABLE_PROPERTY_CONST)

const sd_bus_vtable snapshot_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        PRIVATE("Name", "s", get_name),
        PRIVATE("Container", "o", get_container),
        PRIVATE("CreatedAt", "t", get_created),
        PRIVATE("Comment", "s", get_comment),
        SD_BUS_VTABLE_END,
};
