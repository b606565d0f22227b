/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is asking. The list of peers holds a reference to each until it leaves the bus; one match for all of them, since a bus
 * allows a connection only some hundreds. */

#include "caller.h"
#include "log.h"
#include "manager.h"
#include "mutation.h"
#include "permissions.h"
#include "process.h"
#include "bus-call.h"

#define DRIVER "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

Caller *caller_ref(Caller *p) {
        p->references++;
        return p;
}

Caller *caller_unref(Caller *p) {
        if (!p || --p->references > 0)
                return NULL;
        link_remove(&p->link);
        sd_bus_slot_unref(p->question);
        hints_forget(p);
        free(p->name);
        free(p);
        return NULL;
}

static void caller_gone(Caller *p) {
        if (p->gone)
                return;
        p->gone = true;
        p->question = sd_bus_slot_unref(p->question);
        link_remove(&p->link);
        bus_calls_caller_gone(p);
        processes_caller_gone(p);
        caller_unref(p);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Caller *p = userdata;
        uint32_t uid;

        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &uid) < 0) {
                caller_gone(p); /* it left before we asked; if the driver failed it is told so as well */
                return 0;
        }
        p->question = sd_bus_slot_unref(p->question);
        p->uid = uid;
        p->known = true;
        bus_calls_caller_known(p);
        return 0;
}

static Caller *caller_find(Manager *m, const char *name) {
        LINK_FOREACH(Caller, p, &m->callers, link)
                if (streq(p->name, name))
                        return p;
        return NULL;
}

int caller_get(Manager *m, const char *name, Caller **ret) {
        Caller *p;
        int r;

        p = caller_find(m, name);
        if (p) {
                *ret = caller_ref(p);
                return 0;
        }
        p = calloc(1, sizeof(Caller));
        if (!p)
                return -ENOMEM;
        *p = (Caller) { .manager = m, .references = 1, .uid = (uid_t) -1, .name = strdup(name) };
        link_init(&p->link);
        if (!p->name) {
                caller_unref(p);
                return -ENOMEM;
        }
        r = sd_bus_call_method_async(m->bus, &p->question, DRIVER, DRIVER_PATH, DRIVER, "GetConnectionUnixUser",
                                     on_answer, p, "s", name);
        if (r < 0) {
                caller_unref(p);
                return r;
        }
        link_append(&m->callers, &p->link); /* this reference is the list's */
        *ret = caller_ref(p);
        return 0;
}

static int on_name_lost(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Manager *m = userdata;
        const char *sender = sd_bus_message_get_sender(message), *name, *old, *new;
        Caller *p;

        /* sd-bus leaves a well-known sender of a match to the bus, and what somebody sends to us alone the bus matches with
         * nothing: without this anybody could hang up on anybody's programs. */
        if (!MUTATION(caller_signal_sender) && (!sender || !streq(sender, DRIVER)))
                return 0;
        if (sd_bus_message_read(message, "sss", &name, &old, &new) < 0 || name[0] != ':' || new[0] != 0)
                return 0;
        p = caller_find(m, name);
        if (p)
                caller_gone(p);
        return 0;
}

int callers_watch(Manager *m) {
        return sd_bus_add_match_async(m->bus, NULL,
                                      "type='signal',sender='" DRIVER "',path='" DRIVER_PATH "',interface='" DRIVER
                                      "',member='NameOwnerChanged',arg2=''",
                                      on_name_lost, NULL, m);
}
