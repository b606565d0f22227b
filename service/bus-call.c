/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The path of every method call; see bus-call.h. What arrives was written by anybody. */

#include "bus-call.h"
#include "bus-error.h"
#include "bus.h"
#include "container.h"
#include "image.h"
#include "limits.h"
#include "log.h"
#include "manager.h"
#include "mutation.h"
#include "names.h"
#include "permissions.h"

#include <assert.h>
#include <stdarg.h>

BusCall *bus_call_free(BusCall *q) {
        if (!q)
                return NULL;
        link_remove(&q->link);
        link_remove(&q->waiting);
        polkit_cancel(q->polkit);
        asked_free(q->asked);
        if (q->warm)
                warm_free(q->warm);
        permissions_free(q->permissions);
        sd_bus_message_unref(q->message);
        caller_unref(q->caller);
        manager_activity(q->manager);
        free(q);
        return NULL;
}

int bus_call_fail(BusCall *q, const sd_bus_error *error) {
        int r = sd_bus_reply_method_error(q->message, error);

        if (r < 0)
                log_warning("cannot answer a call: %s", strerror(-r));
        bus_call_free(q);
        return 0;
}

int bus_call_fail_engine(BusCall *q, const EngineError *e) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        bus_error_from_engine(e, &error);
        return bus_call_fail(q, &error);
}

int bus_call_reply_message(BusCall *q, sd_bus_message *reply) {
        int r;

        assert(q->granted || q->member->who == WHO_EVERYBODY);
        r = sd_bus_send(sd_bus_message_get_bus(reply), reply, NULL);
        if (r < 0)
                log_warning("cannot answer a call: %s", strerror(-r));
        sd_bus_message_unref(reply);
        bus_call_free(q);
        return 0;
}

int bus_call_reply(BusCall *q, const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_return(q->message, &reply);
        if (r >= 0 && types) {
                va_start(ap, types);
                r = sd_bus_message_appendv(reply, types, ap);
                va_end(ap);
        }
        if (r < 0) {
                sd_bus_message_unref(reply);
                (void) bus_error_internal(&error, r, "compose its answer");
                return bus_call_fail(q, &error);
        }
        return bus_call_reply_message(q, reply);
}

static int check_store(const BusCall *q, sd_bus_error *error) {
        if (!q->manager->store_readable && q->member->who != WHO_EVERYBODY)
                return sd_bus_error_set(error, ERROR_HELPER_FAILED,
                                        "The store cannot be read, so nothing can be done but look. `berth check` says more.");
        return 0;
}

void bus_call_run(BusCall *q) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        assert(q->caller->known);
        q->uid = q->caller->uid;
        r = sd_bus_message_rewind(q->message, true);
        if (r >= 0)
                r = check_store(q, &error);
        if (r >= 0)
                r = q->member->handler(q, &error);
        if (r >= 0)
                return; /* answered, or will be */
        if (!sd_bus_error_is_set(&error)) {
                if (r == -ENXIO || r == -EBADMSG)
                        (void) sd_bus_error_set(&error, SD_BUS_ERROR_INVALID_ARGS, "The arguments do not make sense.");
                else
                        (void) bus_error_internal(&error, r, "handle the call");
        }
        (void) bus_call_fail(q, &error);
}

/* The uid of a caller that is not known yet is not known either: such calls are counted for the caller. */
static unsigned waiting_of(Manager *m, const Caller *p) {
        unsigned n = 0;

        LINK_FOREACH(BusCall, q, &m->requests, link)
                if (q->caller == p || (p->known && q->caller->known && q->caller->uid == p->uid))
                        n++;
        return n;
}

unsigned bus_calls_count(Manager *m, uid_t uid) {
        unsigned n = 0;

        LINK_FOREACH(BusCall, q, &m->requests, link)
                if (q->caller->known && q->caller->uid == uid)
                        n++;
        return n;
}

static unsigned call_limit(const Caller *p) {
        return p->known && p->uid == 0 ? LIMIT_CALLS * LIMIT_ROOT_FACTOR : LIMIT_CALLS;
}

int bus_call_begin(Manager *m, sd_bus_message *message, const Member *member, sd_bus_error *error) {
        const char *sender = sd_bus_message_get_sender(message);
        Caller *caller;
        BusCall *q;
        int r;

        manager_activity(m);
        if (!sender)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "A call without a sender.");
        r = caller_get(m, sender, &caller);
        if (r < 0)
                return bus_error_internal(error, r, "ask who is calling");
        if (!MUTATION(request_limit) && waiting_of(m, caller) >= call_limit(caller)) {
                caller_unref(caller);
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "At most %u calls of one user may wait for their answers.", LIMIT_CALLS);
        }
        q = calloc(1, sizeof(BusCall));
        if (!q) {
                caller_unref(caller);
                return -ENOMEM;
        }
        *q = (BusCall) { .manager = m, .message = sd_bus_message_ref(message), .member = member, .caller = caller,
                         .uid = (uid_t) -1 };
        link_init(&q->waiting);
        link_append(&m->requests, &q->link);
        if (caller->known)
                bus_call_run(q);
        return 1;
}

int bus_call_arrive(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Manager *manager = manager_of_bus(sd_bus_message_get_bus(m));
        const Member *member = authorize_find(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));

        if (!member)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Nobody may call this.");
        return bus_call_begin(manager, m, member, error);
}

void bus_calls_caller_known(Caller *p) {
        Manager *m = p->manager;
        Link mine;

        /* Handlers may answer and free any request: take ours out of the list first. */
        link_init(&mine);
        LINK_FOREACH(BusCall, q, &m->requests, link)
                if (q->caller == p) {
                        link_remove(&q->link);
                        link_append(&mine, &q->link);
                }
        while (!link_is_alone(&mine)) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                BusCall *q = LINK_ENTRY(mine.next, BusCall, link);

                link_remove(&q->link);
                if (bus_calls_count(m, p->uid) >= call_limit(p)) {
                        (void) sd_bus_error_set(&error, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many calls wait for their answers.");
                        (void) bus_call_fail(q, &error);
                        continue;
                }
                link_append(&m->requests, &q->link);
                bus_call_run(q);
        }
}

/* What has begun goes on; what waits for an authorization ends, and its prompt with it. */
static BusCall *find_waiting(const Caller *p) {
        LINK_FOREACH(BusCall, q, &p->manager->requests, link)
                if (q->caller == p && (!p->known || q->polkit || q->permissions))
                        return q;
        return NULL;
}

void bus_calls_caller_gone(Caller *p) {
        BusCall *q;

        /* From the start each time: freeing one may let polkit's next question out, and its failure answers another. */
        while ((q = find_waiting(p)))
                bus_call_free(q);
}

int bus_call_check_name(const char *name, sd_bus_error *error) {
        if (!name_is_valid(name))
                return sd_bus_error_setf(error, ERROR_INVALID_NAME,
                                         "A name is 1 to %d letters, digits, '.', '_' and '-', begins with a letter or digit and "
                                         "has no '..'.",
                                         NAME_LENGTH_MAX);
        return 0;
}

int bus_call_container(BusCall *q, Container **ret, sd_bus_error *error) {
        Container *c = container_of_path(q->manager, sd_bus_message_get_path(q->message));

        if (!c)
                return sd_bus_error_set(error, ERROR_NO_SUCH_CONTAINER, "There is no such container.");
        *ret = c;
        return 0;
}

int bus_call_image(BusCall *q, Image **ret, sd_bus_error *error) {
        Image *i = image_of_path(q->manager, sd_bus_message_get_path(q->message));

        if (!i)
                return sd_bus_error_set(error, ERROR_NO_SUCH_IMAGE, "There is no such image.");
        *ret = i;
        return 0;
}
