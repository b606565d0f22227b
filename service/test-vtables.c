/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks the vtables: every method is in the authorization table and goes through bus_call_arrive(), unprivileged; every
 * property that is private is explicit and has rows for reading it. Then says what there is, for test-vtables.py to compare with
 * the XML. */

#include "authorize.h"
#include "bus.h"
#include "bus-call.h"
#include "bus-error.h"
#include "test.h"

#include <stdio.h>

static const char *emits(const sd_bus_vtable *v) {
        if (v->flags & SD_BUS_VTABLE_PROPERTY_CONST)
                return "const";
        if (v->flags & SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
                return "true";
        if (v->flags & SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION)
                return "invalidates";
        return "false";
}

/* Argument names, each ended by NUL, in the order of the signature. */
static void say_names(const char *names, const char *signature) {
        (void) printf(" ");
        while (*names) {
                (void) printf("%s,", names);
                names += strlen(names) + 1;
        }
        (void) printf(" %s", signature && signature[0] ? signature : "-");
}

static void walk_method(const BusInterface *i, const sd_bus_vtable *v) {
        const Member *m = authorize_find(i->name, v->x.method.member);

        check(m && m->handler);
        check(v->x.method.handler == bus_call_arrive);
        check(v->flags & SD_BUS_VTABLE_UNPRIVILEGED);
        (void) printf("method %s %s", i->name, v->x.method.member);
        say_names(v->x.method.names, v->x.method.signature);
        (void) printf(" %s\n", v->x.method.result ?: "-"); /* NULL: SD_BUS_NO_RESULT */
}

static void walk_property(const BusInterface *i, const sd_bus_vtable *v) {
        bool explicit = v->flags & SD_BUS_VTABLE_PROPERTY_EXPLICIT;

        check(v->x.property.get);
        /* A private property must have somebody who decides; an invalidated one is private. */
        check(!explicit || (authorize_find(i->name, "Properties.Get") && authorize_find(i->name, "Properties.GetAll")));
        check(explicit || !(v->flags & SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION));
        (void) printf("property %s %s %s %s\n", i->name, v->x.property.member, v->x.property.signature, emits(v));
}

static void walk(const BusInterface *i) {
        for (const sd_bus_vtable *v = i->vtable; v->type != _SD_BUS_VTABLE_END; v++)
                switch (v->type) {
                case _SD_BUS_VTABLE_METHOD:
                        walk_method(i, v);
                        break;
                case _SD_BUS_VTABLE_SIGNAL:
                        (void) printf("signal %s %s", i->name, v->x.signal.member);
                        say_names(v->x.signal.names, v->x.signal.signature);
                        (void) printf("\n");
                        break;
                case _SD_BUS_VTABLE_PROPERTY:
                        walk_property(i, v);
                        break;
                default:
                        check(v->type == _SD_BUS_VTABLE_START); /* nothing is writable */
                }
}

static void walk_table(void) {
        for (const Member *m = authorize_table; m->interface; m++) {
                check(authorize_find(m->interface, m->member) == m); /* once */
                check((m->who == WHO_ACTION) == (m->action != NULL) && (m->action != NULL) == (m->verb != NULL));
                check(!m->warm || m->who == WHO_ACTION);
                (void) printf("row %s %s %s\n", m->interface, m->member, m->action ?: "-");
        }
        for (size_t i = 0; i < _DETAIL_MAX; i++)
                check(detail_keys[i]);
}

static void test_asked(void) {
        Subject s = { .container = "a", .creation = "1", .owner = 5 }, other;
        Asked *a, *b;

        check(asked_new("container.start", "start", 5, &s, &a) == 0);
        check(streq(a->details[DETAIL_OWNER], "5") && streq(a->details[DETAIL_CALLER_OWNS], "yes") && streq(a->details[DETAIL_NAME], ""));
        for (unsigned i = 0; i < 8; i++) {
                other = s;
                *(i == 0 ? &other.container : i == 1 ? &other.creation : i == 2 ? &other.image : i == 3 ? &other.snapshot :
                  i == 4 ? &other.name : i == 5 ? &other.command : &other.user) = "z";
                if (i == 7)
                        other = (Subject) { .container = "a", .creation = "1", .owner = 5, .signal = 9 };
                check(asked_new("container.start", "start", 5, &other, &b) == 0 && !asked_equal(a, b));
                asked_free(b);
        }
        check(asked_new("container.start", "start", 6, &s, &b) == 0 && !asked_equal(a, b));
        asked_free(b);
        check(asked_new("container.start", "start", 5, &s, &b) == 0 && asked_equal(a, b));
        asked_free(b);
        asked_free(a);
}

static void test_errors(void) {
        char sentence[] = "a\nb\xff";
        sd_bus_error e = SD_BUS_ERROR_NULL;

        bus_error_from_engine(&(EngineError) { "NoSuchThing", sentence }, &e);
        check(streq(e.name, "org.berth1.Error.HelperFailed") && streq(e.message, "a?b?"));
        sd_bus_error_free(&e);
        for (const char *const *i = bus_engine_errors; *i; i++) {
                bus_error_from_engine(&(EngineError) { *i, NULL }, &e);
                check(streq(strrchr(e.name, '.') + 1, *i) && e.message[0]);
                sd_bus_error_free(&e);
        }
}

int main(void) {
        for (const BusInterface *i = bus_interfaces; i->name; i++)
                walk(i);
        walk_table();
        test_asked();
        test_errors();
        return 0;
}
