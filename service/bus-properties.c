/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Get and GetAll of what is not public. sd-bus reads properties for everybody and at once, so these two calls are taken out
 * of the stream before it sees them and become requests like any other; the vtables' getters are used all the same. What
 * sd-bus lists by itself (GetManagedObjects, InterfacesAdded, PropertiesChanged, GetAll of all interfaces) leaves out what
 * is flagged explicit, and everything private is. */

#include "authorize.h"
#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "manager.h"
#include "bus-call.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

static bool is_property(const sd_bus_vtable *v) {
        return v->type == _SD_BUS_VTABLE_PROPERTY || v->type == _SD_BUS_VTABLE_WRITABLE_PROPERTY;
}

static const sd_bus_vtable *property_find(const sd_bus_vtable *vtable, const char *name) {
        for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++)
                if (is_property(v) && streq(v->x.property.member, name))
                        return v;
        return NULL;
}

static bool is_public(const sd_bus_vtable *v) {
        return !(v->flags & SD_BUS_VTABLE_PROPERTY_EXPLICIT);
}

static const BusInterface *interface_find(const char *name) {
        for (const BusInterface *i = bus_interfaces; i->name; i++)
                if (streq(i->name, name))
                        return i;
        return NULL;
}

int bus_properties_filter(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        bool get = sd_bus_message_is_method_call(m, PROPERTIES, "Get") > 0;
        const char *interface, *property;
        const sd_bus_vtable *v;
        const Member *member;
        int r;

        if (!get && sd_bus_message_is_method_call(m, PROPERTIES, "GetAll") <= 0)
                return 0;
        if (!streq(sd_bus_message_get_signature(m, true) ?: "", get ? "ss" : "s"))
                return 0; /* sd-bus says what is wrong */
        r = sd_bus_message_read(m, "s", &interface);
        if (r < 0)
                return r;
        member = authorize_find(interface, get ? "Properties.Get" : "Properties.GetAll");
        if (get && member) {
                r = sd_bus_message_read(m, "s", &property);
                if (r < 0)
                        return r;
                v = property_find(interface_find(interface)->vtable, property);
                if (v && is_public(v))
                        member = NULL;
        }
        r = sd_bus_message_rewind(m, true);
        if (r < 0 || !member)
                return r < 0 ? r : 0;
        r = bus_call_begin(userdata, m, member, &e);
        return r < 0 ? sd_bus_reply_method_error(m, &e) : 1;
}

static int append(sd_bus_message *reply, const sd_bus_vtable *v, const char *path, const char *interface, void *object,
                  sd_bus_error *error) {
        int r;

        r = sd_bus_message_open_container(reply, 'v', v->x.property.signature);
        if (r < 0)
                return r;
        r = v->x.property.get(sd_bus_message_get_bus(reply), path, interface, v->x.property.member, reply, object, error);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(reply);
}

static int append_all(sd_bus_message *reply, const sd_bus_vtable *vtable, const char *path, const char *interface, void *object,
                      bool public_only, sd_bus_error *error) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++) {
                if (!is_property(v) || (public_only && !is_public(v)))
                        continue;
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "s", v->x.property.member);
                if (r >= 0)
                        r = append(reply, v, path, interface, object, error);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

int bus_properties_answer(BusCall *q, const sd_bus_vtable *vtable, const char *path, const char *interface, void *object,
                          bool public_only, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const sd_bus_vtable *v;
        const char *name;
        int r;

        r = sd_bus_message_new_method_return(q->message, &reply);
        if (r < 0)
                return r;
        if (streq(q->member->member, "Properties.GetAll")) {
                r = append_all(reply, vtable, path, interface, object, public_only, error);
                if (r < 0)
                        return r;
                return bus_call_reply_message(q, TAKE_PTR(reply));
        }
        r = sd_bus_message_rewind(q->message, true);
        if (r >= 0)
                r = sd_bus_message_read(q->message, "ss", /* interface= */ NULL, &name);
        if (r < 0)
                return r;
        v = property_find(vtable, name);
        if (!v)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_PROPERTY, "There is no such property.");
        if (public_only)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "Not authorized: polkit action " ACTION_PREFIX "container.info was refused.");
        r = append(reply, v, path, interface, object, error);
        if (r < 0)
                return r;
        return bus_call_reply_message(q, TAKE_PTR(reply));
}
