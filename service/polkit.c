/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* polkit's client. A bus lets a connection wait for some 128 answers at once and refuses the rest, so only a window of questions
 * is under way and the others wait here; prompts, which last as long as a person takes, and hints, which come in hundreds,
 * have windows of their own. Whatever is not a clear yes is a no. */

#include "polkit.h"
#include "list.h"

#include <stdio.h>

#define AUTHORITY "org.freedesktop.PolicyKit1"
#define AUTHORITY_PATH "/org/freedesktop/PolicyKit1/Authority"
#define AUTHORITY_INTERFACE "org.freedesktop.PolicyKit1.Authority"

#define ANSWER_USEC (25 * UINT64_C(1000000)) /* a rule may run a program for ten seconds; a prompt has no limit at all */
#define FLAG_INTERACTIVE 1U

typedef enum Class {
        CLASS_QUICK,
        CLASS_PROMPT,
        CLASS_HINT,
        _CLASS_MAX,
} Class;

static const unsigned window[_CLASS_MAX] = { [CLASS_QUICK] = 48, [CLASS_PROMPT] = 32, [CLASS_HINT] = 16 };

struct PolkitCall {
        Polkit *polkit;
        Link link;
        Class class;
        sd_bus_message *message;
        sd_bus_slot *slot; /* set while it is under way */
        char id[24];       /* cancellation ID */
        PolkitHandler handler;
        void *userdata;
};

struct Polkit {
        sd_bus *bus;
        sd_bus_slot *match;
        void (*changed)(void *userdata);
        void *userdata;
        Link waiting[_CLASS_MAX];
        Link asking[_CLASS_MAX];
        unsigned n_asking[_CLASS_MAX];
        uint64_t next_id;
};

static void call_free(PolkitCall *c) {
        link_remove(&c->link);
        if (c->slot)
                c->polkit->n_asking[c->class]--;
        sd_bus_slot_unref(c->slot);
        sd_bus_message_unref(c->message);
        free(c);
}

static int read_details(sd_bus_message *m, bool *ret_dismissed) {
        const char *key, *value;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{ss}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                if (streq(key, "polkit.dismissed") && value[0] != 0)
                        *ret_dismissed = true;
        return r;
}

static PolkitAnswer read_answer(sd_bus_message *m) {
        bool is_dismissed = false;
        int yes, challenge;

        if (sd_bus_message_is_method_error(m, NULL))
                return POLKIT_UNREACHABLE;
        if (sd_bus_message_enter_container(m, 'r', "bba{ss}") < 0 || sd_bus_message_read(m, "bb", &yes, &challenge) < 0 ||
            read_details(m, &is_dismissed) < 0)
                return POLKIT_UNREACHABLE;
        if (yes)
                return POLKIT_YES;
        if (is_dismissed)
                return POLKIT_DISMISSED;
        return challenge ? POLKIT_CHALLENGE : POLKIT_NO;
}

static void pump(Polkit *p);

static void call_answer(PolkitCall *c, PolkitAnswer answer) {
        PolkitHandler handler = c->handler;
        void *userdata = c->userdata;
        Polkit *p = c->polkit;

        call_free(c);
        handler(userdata, answer);
        pump(p);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        call_answer(userdata, read_answer(m));
        return 0;
}

static void pump(Polkit *p) {
        for (Class class = 0; class < _CLASS_MAX; class ++)
                while (p->n_asking[class] < window[class] && !link_is_alone(&p->waiting[class])) {
                        PolkitCall *c = LINK_ENTRY(p->waiting[class].next, PolkitCall, link);
                        uint64_t timeout = class == CLASS_PROMPT ? UINT64_MAX : ANSWER_USEC;

                        link_remove(&c->link);
                        if (sd_bus_call_async(p->bus, &c->slot, c->message, on_answer, c, timeout) < 0) {
                                call_answer(c, POLKIT_UNREACHABLE);
                                return; /* it has pumped the rest */
                        }
                        p->n_asking[class]++;
                        link_append(&p->asking[class], &c->link);
                }
}

static int compose(PolkitCall *c, const PolkitQuestion *q) {
        sd_bus_message *m;
        int r;

        r = sd_bus_message_new_method_call(c->polkit->bus, &c->message, AUTHORITY, AUTHORITY_PATH, AUTHORITY_INTERFACE,
                                           "CheckAuthorization");
        if (r < 0)
                return r;
        m = c->message;
        r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", q->subject, q->action);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "{ss}");
        if (r < 0)
                return r;
        for (size_t i = 0; i < q->n_details; i++) {
                r = sd_bus_message_append(m, "{ss}", q->details[i].key, q->details[i].value);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return sd_bus_message_append(m, "us", q->interactive ? FLAG_INTERACTIVE : 0, c->id);
}

int polkit_ask(Polkit *p, const PolkitQuestion *q, PolkitHandler handler, void *userdata, PolkitCall **ret) {
        PolkitCall *c;
        int r;

        c = calloc(1, sizeof(PolkitCall));
        if (!c)
                return -ENOMEM;
        *c = (PolkitCall) { .polkit = p, .handler = handler, .userdata = userdata,
                            .class = q->hint ? CLASS_HINT : q->interactive ? CLASS_PROMPT : CLASS_QUICK };
        link_init(&c->link);
        (void) snprintf(c->id, sizeof(c->id), "%" PRIu64, ++p->next_id);
        r = compose(c, q);
        if (r >= 0 && p->n_asking[c->class] < window[c->class])
                r = sd_bus_call_async(p->bus, &c->slot, c->message, on_answer, c,
                                      c->class == CLASS_PROMPT ? UINT64_MAX : ANSWER_USEC);
        if (r < 0) {
                call_free(c);
                return r;
        }
        if (c->slot) {
                p->n_asking[c->class]++;
                link_append(&p->asking[c->class], &c->link);
        } else
                link_append(&p->waiting[c->class], &c->link);
        *ret = c;
        return 0;
}

PolkitCall *polkit_cancel(PolkitCall *c) {
        Polkit *p;

        if (!c)
                return NULL;
        p = c->polkit;
        if (c->slot)
                (void) sd_bus_call_method_async(p->bus, NULL, AUTHORITY, AUTHORITY_PATH, AUTHORITY_INTERFACE,
                                                "CancelCheckAuthorization", NULL, NULL, "s", c->id);
        call_free(c);
        pump(p);
        return NULL;
}

int polkit_enumerate(Polkit *p, sd_bus_message_handler_t handler, void *userdata, uint64_t timeout) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(p->bus, &m, AUTHORITY, AUTHORITY_PATH, AUTHORITY_INTERFACE, "EnumerateActions");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", "C");
        if (r < 0)
                return r;
        return sd_bus_call_async(p->bus, NULL, m, handler, userdata, timeout);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Polkit *p = userdata;

        p->changed(p->userdata);
        return 0;
}

int polkit_new(sd_bus *bus, void (*changed)(void *userdata), void *userdata, Polkit **ret) {
        Polkit *p;
        int r;

        p = calloc(1, sizeof(Polkit));
        if (!p)
                return -ENOMEM;
        *p = (Polkit) { .bus = sd_bus_ref(bus), .changed = changed, .userdata = userdata };
        for (Class class = 0; class < _CLASS_MAX; class ++) {
                link_init(&p->waiting[class]);
                link_init(&p->asking[class]);
        }
        r = sd_bus_match_signal_async(bus, &p->match, AUTHORITY, AUTHORITY_PATH, AUTHORITY_INTERFACE, "Changed", on_changed,
                                      NULL, p);
        if (r < 0) {
                polkit_free(p);
                return r;
        }
        *ret = p;
        return 0;
}

Polkit *polkit_free(Polkit *p) {
        if (!p)
                return NULL;
        for (Class class = 0; class < _CLASS_MAX; class ++) {
                while (!link_is_alone(&p->waiting[class]))
                        call_free(LINK_ENTRY(p->waiting[class].next, PolkitCall, link));
                while (!link_is_alone(&p->asking[class]))
                        call_free(LINK_ENTRY(p->asking[class].next, PolkitCall, link));
        }
        sd_bus_slot_unref(p->match);
        sd_bus_unref(p->bus);
        free(p);
        return NULL;
}
