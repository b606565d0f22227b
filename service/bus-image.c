/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.berth1.Image: public. */

#include "bus.h"
#include "image.h"
#include "manager.h"
#include "bus-call.h"

int image_method_remove(BusCall *q, sd_bus_error *error) {
        Image *i;
        int r;

        r = bus_call_options(q, NULL, error);
        if (r >= 0)
                r = bus_call_image(q, &i, error);
        if (r >= 0)
                r = authorize(q, &(Subject) { .image = i->name, .owner = i->owner }, error);
        if (r <= 0)
                return r;
        return image_remove(i, q, error);
}

#define GETTER(f)                                                                                                      \
        static int f(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, \
                     void *userdata, sd_bus_error *error)

GETTER(get_name) {
        const Image *i = userdata;

        return sd_bus_message_append(reply, "s", i->name);
}

GETTER(get_owner) {
        const Image *i = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) i->owner);
}

GETTER(get_created) {
        const Image *i = userdata;

        return sd_bus_message_append(reply, "t", i->created);
}

GETTER(get_used_by) {
        return sd_bus_message_append(reply, "u", image_used_by(userdata));
}

const sd_bus_vtable image_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("OwnerUID", "u", get_owner, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("CreatedAt", "t", get_created, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("UsedBy", "u", get_used_by, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};
